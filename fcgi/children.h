/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parent's list of its workers: who runs in which slot. */
#ifndef ZIPSTREAM_CHILDREN_H
#define ZIPSTREAM_CHILDREN_H

#include <sys/types.h>

struct child {
	pid_t pid; /* 0: the slot is free */
	int generation;
};

struct children {
	int slots;
	int live;
	struct child *at; /* by slot */
	int *vacant;	  /* stack of free slots */
};

/* -1: no memory. */
int children_init(struct children *c, int slots);
void children_fini(struct children *c);

/* The slot that the next worker gets; -1: none is free. */
int children_next(const struct children *c);
/* Takes that slot. */
void children_add(struct children *c, pid_t pid, int generation);
/* The slot of a worker, -1 when it is none. */
int children_find(const struct children *c, pid_t pid);
void children_remove(struct children *c, int slot);

/* Sends `sig` to all, or to those older than generation `before` when it is
 * positive. */
void children_signal(const struct children *c, int sig, int before);

#endif
