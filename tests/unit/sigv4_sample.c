/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Signs requests, for an independent implementation to compare with.
 *
 * Each line of standard input is a request, its words in hex with a '.' in
 * front: expiry (none: header form), method, host, path, payload hash,
 * region, service, access key, secret key, token, time, the count of query
 * pairs, these, then the headers' pairs.  Each line of output is an
 * Authorization header or a query string; "refused" when there is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sigv4.h"

#define WORDS_MAX 128
#define PAIRS_MAX 48
#define OUT_MAX 65536

/* Turns one hex word into text in its own place. */
static char *
plain(char *word)
{
	char *out = word, digits[3] = { 0 };
	const char *p = word + 1;

	while (p[0] != '\0' && p[1] != '\0') {
		memcpy(digits, p, 2);
		*out++ = (char)strtoul(digits, NULL, 16);
		p += 2;
	}
	*out = '\0';
	return word;
}

static size_t
take_pairs(char **words, size_t n, struct sigv4_pair *pairs)
{
	for (size_t i = 0; i < n; i++)
		pairs[i] =
			(struct sigv4_pair){ words[2 * i], words[2 * i + 1] };
	return n;
}

static int
answer(char **w, size_t n)
{
	struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
	size_t queries = n > 11 ? strtoul(w[11], NULL, 10) : PAIRS_MAX + 1;
	struct sigv4_request r;
	char date[17];
	struct buf out;
	int rc;

	if (queries > PAIRS_MAX || n < 12 + 2 * queries)
		return -1;
	r = (struct sigv4_request){
		.method = w[1],
		.host = w[2],
		.path = w[3],
		.payload_hash = w[4],
		.region = w[5],
		.service = w[6],
		.access_key = w[7],
		.secret_key = w[8],
		.token = w[9],
		.now = strtoll(w[10], NULL, 10),
		.query = query,
		.query_count = take_pairs(w + 12, queries, query),
		.headers = headers,
		.header_count = take_pairs(w + 12 + 2 * queries,
					   (n - 12) / 2 - queries, headers),
	};
	buf_init(&out, OUT_MAX);
	rc = w[0][0] == '\0' ? sigv4_sign(&r, &out, date)
			     : sigv4_presign(&r, strtoll(w[0], NULL, 10), &out);
	puts(rc == 0 ? buf_str(&out) : "refused");
	buf_free(&out);
	return 0;
}

int
main(void)
{
	char *line = NULL, *words[WORDS_MAX], *next, *word;
	size_t room = 0, n;
	int rc = 0;

	while (rc == 0 && getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		n = 0;
		next = line;
		while (n < WORDS_MAX && (word = strsep(&next, " ")) != NULL)
			words[n++] = plain(word);
		rc = answer(words, n);
	}
	free(line);
	if (rc != 0)
		fprintf(stderr, "usage: sigv4_sample < requests\n");
	return rc == 0 ? 0 : 2;
}
