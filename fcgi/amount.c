/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbers as people at a terminal read them. */
#include "amount.h"

#include <stdio.h>

const char *
amount_bytes(char out[AMOUNT_TEXT], int64_t n)
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double value = (double)n;
	int unit = 0;

	/* What would be printed as 1024.0 is one of the next unit. */
	for (; value >= 1023.95 && unit < 6; unit++)
		value /= 1024;
	snprintf(out, AMOUNT_TEXT, unit > 0 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return out;
}

const char *
amount_time(char out[AMOUNT_TEXT], int64_t seconds)
{
	int64_t minutes = seconds / 60, hours = minutes / 60;

	if (seconds < 0)
		seconds = minutes = hours = 0;
	if (hours == 0)
		snprintf(out, AMOUNT_TEXT, "%d:%02d", (int)minutes,
			 (int)(seconds % 60));
	else if (hours < 48)
		snprintf(out, AMOUNT_TEXT, "%dh%02dm", (int)hours,
			 (int)(minutes % 60));
	else
		snprintf(out, AMOUNT_TEXT, "%lldd%dh", (long long)(hours / 24),
			 (int)(hours % 24));
	return out;
}
