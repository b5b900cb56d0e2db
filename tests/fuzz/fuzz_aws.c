/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes as what S3 and DynamoDB answer, and as an s3:// source: error
 * names come out clean and bounded, buckets are names of hosts, what is
 * listed has a name and a size.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/dynamodb.h"
#include "../../src/s3_list.h"
#include "s3.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config config = {
	.fs_interfaces = FS_S3 | FS_HTTPS,
	.aws_region = "us-west-2",
	.source_allow = "",
};

static void
check_s3_error(const char *text, size_t n)
{
	char code[16];

	s3_error_code(text, n, code, sizeof(code));
	if (strnlen(code, sizeof(code)) == sizeof(code) ||
	    strpbrk(code, "<>&\r\n \"") != NULL)
		abort();
}

static void
check_dynamodb_error(const char *text, size_t n)
{
	char name[32];
	bool again;

	memset(name, 'x', sizeof(name));
	dynamodb_error(text, n, name, sizeof(name), &again);
	if (strnlen(name, sizeof(name)) == sizeof(name))
		abort();
}

static int
check_listed(void *ctx, const struct s3_listed *o, struct error *e)
{
	(void)e;
	++*(int *)ctx;
	if (o->key == NULL || o->size < 0)
		abort();
	return 0;
}

static void
check_list(struct arena *a, const char *text, size_t n)
{
	struct error e = { .code = ERROR_NONE };
	const char *token = NULL;
	int count = 0;

	if (s3_list_read(a, text, n, check_listed, &count, &token, &e) == 0 &&
	    (memmem(text, n, "<ListBucketResult", 17) == NULL ||
	     (count > 0 && memmem(text, n, "</Contents>", 11) == NULL)))
		abort();
}

static void
check_object(struct arena *a, const char *text)
{
	char *src = arena_printf(a, "s3://%s", text);
	struct s3_object o;
	struct error e;
	size_t len;

	if (src == NULL || s3_parse(a, src, &o, &e) != 0)
		return;
	if (*o.bucket == '\0' || strlen(o.bucket) > S3_BUCKET_MAX ||
	    strpbrk(o.bucket, "/:@?#%\\ \r\n") != NULL)
		abort();
	if (source_check(&config, a, src, &e) == 0)
		source_s3.name(a, src, &len);
	source_label(a, src);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(4 << 20);
	char *text = arena_strndup(a, (const char *)data, n);

	if (text != NULL) {
		check_s3_error((const char *)data, n);
		check_dynamodb_error((const char *)data, n);
		check_list(a, (const char *)data, n);
		check_object(a, text);
	}
	arena_free(a);
	return 0;
}
