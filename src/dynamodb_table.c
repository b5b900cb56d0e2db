/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table itself: made on demand, with its TTL on. */
#include <string.h>
#include <time.h>

#include "store_backend.h"
#include "store_dynamodb.h"

#define TABLE_WAIT_S 60

enum table { TABLE_NONE, TABLE_COMING, TABLE_ACTIVE };

/* 0 and *table, or -1. */
static int
describe(const struct dynamodb *db, enum table *table, struct error *e)
{
	struct json *answer = NULL;
	enum dynamodb_end end;
	struct buf body;
	int rc;

	dynamodb_begin(db, &body);
	buf_puts(&body, "}");
	rc = dynamodb_call(db, "DescribeTable", &body, &end, &answer, e);
	buf_free(&body);
	*table = strcmp(json_string(json_get(json_get(answer, "Table"),
					     "TableStatus"),
				    NULL),
			"ACTIVE") == 0
			 ? TABLE_ACTIVE
			 : TABLE_COMING;
	json_free(answer);
	if (rc == 0 && end == DYNAMODB_NO_TABLE)
		*table = TABLE_NONE;
	else if (rc == 0 && end != DYNAMODB_OK)
		rc = dynamodb_refusal(end, e);
	return rc;
}

static int
enable_ttl(const struct dynamodb *db, struct error *e)
{
	enum dynamodb_end end;
	struct buf body;
	int rc;

	dynamodb_begin(db, &body);
	buf_puts(&body, ",\"TimeToLiveSpecification\":{\"Enabled\":true,"
			"\"AttributeName\":\"expirationDate\"}}");
	rc = dynamodb_call(db, "UpdateTimeToLive", &body, &end, NULL, e);
	buf_free(&body);
	/* Invalid: it is enabled already. */
	if (rc == 0 && end != DYNAMODB_OK && end != DYNAMODB_INVALID)
		rc = dynamodb_refusal(end, e);
	return rc;
}

static int
create_table(const struct dynamodb *db, struct error *e)
{
	enum dynamodb_end end;
	struct buf body;
	int rc;

	dynamodb_begin(db, &body);
	buf_puts(&body, ",\"BillingMode\":\"PAY_PER_REQUEST\","
			"\"AttributeDefinitions\":[{\"AttributeName\":\"id\","
			"\"AttributeType\":\"S\"}],\"KeySchema\":["
			"{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}]}");
	rc = dynamodb_call(db, "CreateTable", &body, &end, NULL, e);
	buf_free(&body);
	/* In use: another node has been faster. */
	if (rc == 0 && end != DYNAMODB_OK && end != DYNAMODB_IN_USE)
		rc = dynamodb_refusal(end, e);
	return rc;
}

int
dynamodb_table_init(void *self, struct error *e)
{
	enum table table;

	if (describe(self, &table, e) != 0 ||
	    (table == TABLE_NONE && create_table(self, e) != 0))
		return -1;
	for (int i = 0; table != TABLE_ACTIVE; i++) {
		if (i == TABLE_WAIT_S)
			return store_away(e,
					  "the table does not become active");
		if (i > 0)
			nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		if (describe(self, &table, e) != 0)
			return -1;
	}
	return enable_ttl(self, e);
}
