/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A fence around the file system, by Landlock (landlock(7)).
 *
 * Whatever becomes of a process inside it: it runs no other program, and it
 * changes files in the folder of its state and of its database only, and in
 * those for temporary files.  What it may read is left to its user's rights,
 * because the libraries read what only they know of: names, certificates,
 * passwords of the database.
 */
#ifndef ZIPSTREAM_FENCE_H
#define ZIPSTREAM_FENCE_H

#include "config.h"
#include "error.h"

/* For good.  Needs "no new privileges"; 0 without effect where the kernel
 * has no Landlock. */
int fence_raise(const struct config *c, struct error *e);

#endif
