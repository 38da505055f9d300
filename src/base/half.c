#include "base/half.h"

#include <string.h>

uint16_t fw_half_from(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return FW_HALF_NAN;
    if (magnitude >= 0x47800000u) /* 65536 and more, infinity among them */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below the smallest normal number: a multiple of 2^-24 */
        float scaled;
        uint32_t count;
        memcpy(&scaled, &magnitude, sizeof scaled);
        scaled += 0.5f; /* the adder rounds to multiples of 2^-24 there */
        memcpy(&count, &scaled, sizeof count);
        return (uint16_t)(sign | (count - 0x3f000000u));
    }
    const uint32_t odd = magnitude >> 13 & 1u;
    const uint32_t rounded = magnitude + 0x0fffu + odd; /* may carry into the exponent, rightly */
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}
