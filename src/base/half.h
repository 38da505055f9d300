/* IEEE 754 half precision, for what is kept in great numbers: 11 significant bits, +-65504. */
#ifndef FW_BASE_HALF_H
#define FW_BASE_HALF_H

#include <stdint.h>

/* Rounds to nearest, ties to even; beyond the range infinity, NaN stays NaN. */
uint16_t fw_half_from(float value);
float fw_half_to(uint16_t half); /* exact */

#define FW_HALF_NAN ((uint16_t)0x7e00)

#endif
