/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes as a file of settings: what loads can be printed, one line for
 * each setting, and an invalid file is told by a message.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int fd = -1;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* Warnings of near misses would be all of the output. */
	log_init(LOG_ERROR, LOG_TEXT);
	fd = memfd_create("settings", 0);
	return fd != -1 ? 0 : -1;
}

static void
check_print(const struct config *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (out == NULL)
		return;
	config_print(c, out);
	fclose(out);
	for (char *line = text, *end; line < text + n; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL ||
		    memchr(line, '=', (size_t)(end - line)) == NULL)
			abort();
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct error e = { 0 };
	char path[64];
	struct config *c;

	if (ftruncate(fd, 0) == -1 || pwrite(fd, data, n, 0) != (ssize_t)n)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c = config_load(path, &e);
	if (c != NULL)
		check_print(c);
	else if (e.text[0] == '\0')
		abort();
	config_free(c);
	return 0;
}
