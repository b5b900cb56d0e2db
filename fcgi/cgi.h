/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One request by CGI/1.1, RFC 3875: variables in the environment, the body
 * on standard input, the answer on standard output. */
#ifndef ZIPSTREAM_CGI_H
#define ZIPSTREAM_CGI_H

#include <stdbool.h>

#include "config.h"

/* Was the program started as a CGI script? */
bool cgi_is(void);

/* Answers the request; returns the exit code: 0, or 1 when the answer was
 * broken off. */
int cgi_run(const struct config *c);

#endif
