/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `zipstream zip`: the same zip as the service's, from the command line.
 *
 * Returns the exit code: 0 the zip is whole, 1 it is not (the sources that
 * failed are listed), 2 wrong usage.
 */
#ifndef ZIPSTREAM_ZIP_COMMAND_H
#define ZIPSTREAM_ZIP_COMMAND_H

#include <stdbool.h>

#include "config.h"

struct zip_options {
	const char *manifest; /* "-": standard input */
	const char *output;   /* NULL: the bundle's file name; "-" */
	bool resume;
	bool quiet;
};

int zip_command(const struct config *c, const struct zip_options *o);

#endif
