/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parent's list of workers: an array by slot and a stack of free ones. */
#include "children.h"

#include <signal.h>
#include <stdlib.h>

int
children_init(struct children *c, int slots)
{
	c->slots = slots;
	c->live = 0;
	c->at = calloc((size_t)slots, sizeof(*c->at));
	c->vacant = calloc((size_t)slots, sizeof(*c->vacant));
	if (c->at == NULL || c->vacant == NULL)
		return -1;
	for (int i = 0; i < slots; i++)
		c->vacant[i] = slots - 1 - i; /* slot 0 comes first */
	return 0;
}

void
children_fini(struct children *c)
{
	free(c->at);
	free(c->vacant);
}

int
children_next(const struct children *c)
{
	if (c->live == c->slots)
		return -1;
	return c->vacant[c->slots - c->live - 1];
}

void
children_add(struct children *c, pid_t pid, int generation)
{
	struct child *child = &c->at[children_next(c)];

	child->pid = pid;
	child->generation = generation;
	c->live++;
}

int
children_find(const struct children *c, pid_t pid)
{
	/* Slots are taken from the front, so that the walk is short; ten
	 * thousand deaths at once cost a tenth of a second. */
	for (int i = 0; i < c->slots; i++)
		if (c->at[i].pid == pid)
			return i;
	return -1;
}

void
children_remove(struct children *c, int slot)
{
	c->at[slot].pid = 0;
	c->live--;
	c->vacant[c->slots - c->live - 1] = slot;
}

void
children_signal(const struct children *c, int sig, int before)
{
	for (int i = 0; i < c->slots; i++)
		if (c->at[i].pid != 0 &&
		    (before <= 0 || c->at[i].generation < before))
			kill(c->at[i].pid, sig);
}
