#include "history/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 17, EXPONENT_MAX = 308, EXACT_POWERS = 23 };

static double power_of_ten(long exponent)
{
    static const double exact[EXACT_POWERS] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    char text[32];
    if (exponent < EXACT_POWERS)
        return exact[exponent];
    (void)snprintf(text, sizeof text, "1e%ld", exponent);
    return strtod(text, NULL);
}

double history_decimal(const char *text)
{
    const bool negative = *text == '-';
    const char *c = text + (*text == '-' || *text == '+');
    double number = 0.0;
    long exponent = 0;
    int digits = 0;
    bool point = false;
    for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
        if (*c == '.') {
            point = true;
        } else if (digits < DIGITS_MAX) {
            number = number * 10.0 + (double)(*c - '0');
            digits++;
            exponent -= point;
        } else {
            exponent += !point;
        }
    }
    if (*c == 'e' || *c == 'E')
        exponent += strtol(c + 1, NULL, 10);
    else if (*c != '\0')
        return strtod(text, NULL); /* hexadecimal, or no number at all */
    if (exponent > EXPONENT_MAX)
        number = number > 0.0 ? (double)INFINITY : 0.0;
    else if (exponent < -EXPONENT_MAX)
        number = 0.0;
    else
        number = exponent > 0 ? number * power_of_ten(exponent) : number / power_of_ten(-exponent);
    return negative ? -number : number;
}
