/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Amazon DynamoDB's JSON protocol: one signed call, its retries, its errors.
 *
 * dynamodb_call sends one operation and waits for its answer; throttling and
 * server faults are tried again with jitter until DB_TIMEOUT has passed.  A
 * try whose answer was lost may have been carried out (libcurl, too, repeats
 * a request when a kept connection turns out to be dead): a condition that
 * fails can be the caller's own doing.  dynamodb_call_told says whether it can.
 */
#ifndef ZIPSTREAM_DYNAMODB_H
#define ZIPSTREAM_DYNAMODB_H

#include "buf.h"
#include "config.h"
#include "error.h"
#include "json.h"
#include "transfer.h"

struct dynamodb {
	const struct config *config;
	struct transfer_engine *engine;
};

/* The end of a call that the server answered. */
enum dynamodb_end {
	DYNAMODB_OK,
	DYNAMODB_CONDITION, /* ConditionalCheckFailedException */
	DYNAMODB_TOO_LARGE, /* the item would pass 400 KB */
	DYNAMODB_IN_USE,    /* ResourceInUseException */
	DYNAMODB_NO_TABLE,  /* ResourceNotFoundException */
	DYNAMODB_INVALID,   /* another ValidationException */
};

/*
 * `operation` is "GetItem" and so on, `body` its JSON.  0 with *end set when
 * the server answered (and *answer, to be freed by json_free, when it is
 * DYNAMODB_OK and `answer` is not NULL), -1 with ERROR_UNAVAILABLE,
 * ERROR_INTERNAL (keys refused) or ERROR_GONE otherwise.
 */
int dynamodb_call(const struct dynamodb *db, const char *operation,
		  const struct buf *body, enum dynamodb_end *end,
		  struct json **answer, struct error *e);

/* The same for what leaves no mark by which its caller would know it again:
 * *doubt is whether an earlier try may have been carried out. */
int dynamodb_call_told(const struct dynamodb *db, const char *operation,
		       const struct buf *body, enum dynamodb_end *end,
		       bool *doubt, struct json **answer, struct error *e);

/* Before try `attempt` + 1.  Full jitter: between nothing and a pause that
 * doubles, from 50 ms to 2 s. */
void dynamodb_pause(unsigned attempt);

/* ERROR_UNAVAILABLE with the reason for the log; -1. */
int dynamodb_away(struct error *e, const char *reason);

/* The error for an end that its caller cannot do with; -1. */
int dynamodb_refusal(enum dynamodb_end end, struct error *e);

/* What an error document names: both spellings of `message` are known, and
 * the name stands behind the '#' of `__type`. */
enum dynamodb_end dynamodb_error(const char *text, size_t n, char *name,
				 size_t name_size, bool *again);

#endif
