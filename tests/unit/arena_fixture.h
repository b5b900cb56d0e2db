/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The state of a group of tests is an arena. */
#ifndef ZIPSTREAM_ARENA_FIXTURE_H
#define ZIPSTREAM_ARENA_FIXTURE_H

#include "arena.h"

static int
with_arena(void **state)
{
	*state = arena_new(0);
	return *state == NULL;
}

static int
without_arena(void **state)
{
	arena_free(*state);
	return 0;
}

#endif
