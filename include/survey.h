/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Before the head of an answer: do the sources answer at all, and how long
 * are they?
 */
#ifndef ZIPSTREAM_SURVEY_H
#define ZIPSTREAM_SURVEY_H

#include <stdbool.h>

#include "delivery.h"
#include "error.h"

/*
 * Starts the sources and waits for what must be known before the head of an
 * answer: that the first sources answer at all, and, where it leads to a
 * known length, the facts of all.  `validators`: facts that prove a source
 * unchanged are wanted too.  With `data` false nothing will be read (HEAD,
 * ranges): only facts are asked for.  0, or -1 with `e` and, where it was
 * the sources' fault, all that is known of it in d->failures.  What was
 * missing before (d->missing) is there in any case.
 */
int survey_run(struct delivery *d, bool validators, bool data, struct error *e);

/*
 * After a survey without data, for an answer without a body: the sources of
 * the first window that have never answered get the moment to fail in that
 * they have before they are read.  Returns as survey_run.
 */
int survey_unheard(struct delivery *d, struct error *e);

#endif
