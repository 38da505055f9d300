/* Decimal numbers as pandas reads them: up to 17 digits gathered in a double, then one
 * multiplication or division by a power of ten. Up to 15 digits that is the nearest double, as
 * strtod() has it; beyond, the last bit may differ, and with it whether two numbers are equal. What
 * is measured exactly must agree with figures that were made from that reading. */
#ifndef FW_HISTORY_DECIMAL_H
#define FW_HISTORY_DECIMAL_H

/* The number that `text` is; it must be one for strtod() down to its end. */
double history_decimal(const char *text);

#endif
