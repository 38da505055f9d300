/* forewarn store check|backup|compact DIR. */
#ifndef FW_CLI_STORE_H
#define FW_CLI_STORE_H

/* As main(): 0 fine, 1 failure, 2 usage, 3 findings. argv[0] is "store". */
int cli_store(int argc, char **argv);

#endif
