/* Priority of one thread; on Linux that is what setpriority() sets for the caller. */
#ifndef FW_BASE_NICE_LINUX_H
#define FW_BASE_NICE_LINUX_H

/* Makes the calling thread yield to the others by `by` (0 to 19) beyond what it has. A refusal is
 * no error: the work is the same, only less polite. */
void fw_nice_thread(int by);

#endif
