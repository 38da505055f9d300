/* What only Linux offers. */
#ifndef FW_TFT_FILE_LINUX_H
#define FW_TFT_FILE_LINUX_H

/* Opens the directory `name` (already checked by tft_file_name_valid) below root_fd without
 * following any link. -1 and errno on failure. */
int tft_file_linux_open_beneath(int root_fd, const char *name);

#endif
