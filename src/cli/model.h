/* forewarn model info|check|run|import */
#ifndef FW_CLI_MODEL_H
#define FW_CLI_MODEL_H

/* argv[0] is "model". Returns the exit code: 0 fine, 1 failure, 2 usage. */
int cli_model(int argc, char **argv);

#endif
