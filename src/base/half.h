/* IEEE 754 half precision, for what is kept in great numbers: 11 significant bits, +-65504. */
#ifndef FW_BASE_HALF_H
#define FW_BASE_HALF_H

#include <stdint.h>
#include <string.h>

/* Rounds to nearest, ties to even; beyond the range infinity, NaN stays NaN. */
uint16_t fw_half_from(float value);

/* Exact. The exponent is brought to its place by a multiplication, which does right by the numbers
 * below the smallest normal one as well. */
static inline float fw_half_to(uint16_t half)
{
    const uint32_t magnitude = half & 0x7fffu;
    uint32_t bits = magnitude << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    if (magnitude >= 0x7c00u) /* infinity, NaN */
        bits = 0x7f800000u | magnitude << 13;
    bits |= (uint32_t)(half & 0x8000u) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define FW_HALF_NAN ((uint16_t)0x7e00)

#endif
