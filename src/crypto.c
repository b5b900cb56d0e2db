/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digests and the CA store; the only user of OpenSSL. */
#include "crypto.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

/* Debian's bundle; OpenSSL's own default is a folder of hashed links, which
 * would be read anew at every handshake. */
#define CA_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

static X509_STORE *ca_store;
static int watch_index = -1; /* where a TLS connection keeps its watch */

struct crypto_watch {
	int users; /* the connection and who watches it, in any order */
	bool closed;
};

struct crypto_sha256 {
	EVP_MD_CTX *md;
};

struct crypto_sha256 *
crypto_sha256_new(void)
{
	struct crypto_sha256 *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->md = EVP_MD_CTX_new();
	if (d->md == NULL ||
	    EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(d->md);
		free(d);
		return NULL;
	}
	return d;
}

void
crypto_sha256_add(struct crypto_sha256 *d, const void *p, size_t n)
{
	EVP_DigestUpdate(d->md, p, n);
}

void
crypto_sha256_end(struct crypto_sha256 *d, unsigned char out[SHA256_BYTES])
{
	EVP_DigestFinal_ex(d->md, out, NULL);
	EVP_MD_CTX_free(d->md);
	free(d);
}

void
crypto_sha256(const void *p, size_t n, unsigned char out[SHA256_BYTES])
{
	EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL);
}

void
crypto_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
		   unsigned char out[SHA256_BYTES])
{
	HMAC(EVP_sha256(), key, (int)key_len, p, n, out, NULL);
}

void
crypto_hex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

void
crypto_base64_encode(const unsigned char *p, size_t n, char *out)
{
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

int
crypto_base64_decode(const char *text, unsigned char *out, size_t size)
{
	size_t n = strlen(text), pad = 0;
	unsigned char block[3 * 256];
	int got;

	while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
		pad++;
	if (n % 4 != 0 || n / 4 * 3 > sizeof(block))
		return -1;
	got = EVP_DecodeBlock(block, (const unsigned char *)text, (int)n);
	if (got < 0 || (size_t)got - pad > size)
		return -1;
	memcpy(out, block, (size_t)got - pad);
	return got - (int)pad;
}

int
crypto_random(void *p, size_t n)
{
	/* Up to 256 bytes come whole or not at all: getrandom(2). */
	return n <= 256 && getrandom(p, n, 0) == (ssize_t)n ? 0 : -1;
}

void
crypto_watch_free(struct crypto_watch *w)
{
	if (w != NULL && --w->users == 0)
		free(w);
}

static void
connection_freed(void *ssl, void *watch, CRYPTO_EX_DATA *data, int index,
		 long n, void *p)
{
	(void)ssl;
	(void)data;
	(void)index;
	(void)n;
	(void)p;
	crypto_watch_free(watch);
}

static void
on_tls_event(const SSL *ssl, int where, int alert)
{
	struct crypto_watch *w = SSL_get_ex_data(ssl, watch_index);

	if (w != NULL && where == SSL_CB_READ_ALERT &&
	    (alert & 0xff) == SSL_AD_CLOSE_NOTIFY)
		w->closed = true;
}

struct crypto_watch *
crypto_watch_close(void *ssl)
{
	struct crypto_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->users = 2;
	crypto_watch_free(SSL_get_ex_data(ssl, watch_index));
	if (SSL_set_ex_data(ssl, watch_index, w) == 1)
		return w;
	free(w);
	return NULL;
}

bool
crypto_watch_closed(const struct crypto_watch *w)
{
	return w->closed;
}

int
crypto_ca_load(const char *file, struct error *e)
{
	X509_STORE *store = X509_STORE_new();
	const char *path = file[0] != '\0' ? file : CA_BUNDLE;

	if (store == NULL)
		return error_memory(e);
	if (X509_STORE_load_file(store, path) != 1 && file[0] != '\0') {
		X509_STORE_free(store);
		ERR_clear_error();
		return error_set(e, ERROR_INPUT,
				 "CA_FILE: %s holds no certificates", file);
	}
	/* A machine without the bundle can still serve http sources. */
	ERR_clear_error();
	X509_STORE_free(ca_store);
	ca_store = store;
	if (watch_index == -1)
		watch_index = SSL_get_ex_new_index(0, NULL, NULL, NULL,
						   connection_freed);
	return 0;
}

int
crypto_ca_share(void *ssl_ctx)
{
	if (ca_store == NULL)
		return -1;
	SSL_CTX_set1_cert_store(ssl_ctx, ca_store);
	SSL_CTX_set_info_callback(ssl_ctx, on_tls_event);
	return 0;
}
