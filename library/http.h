/* http.h: one GET at a time, over libcurl.
 *
 * Redirects are followed here and not by libcurl, because they carry two rules:
 * a token goes to the place it was meant for and to no other, and what began
 * encrypted stays so.  Proxies come from the environment variables that libcurl
 * itself reads (https_proxy, no_proxy).
 *
 * What a server answers, be it 404 or 500, is a result; only the caller knows
 * what it means.  An error is what kept it from answering. */
#ifndef WOODSHED_LIBRARY_HTTP_H
#define WOODSHED_LIBRARY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct http;

struct http_reply {
	long status;         /* of the last answer; 0: there was none */
	bool is_elsewhere;   /* it came from another host than was asked */
	bool is_cut;         /* with an error: the line failed, another try may do */
	bool has_more;       /* of a list: this is one page of several */
	int64_t length;      /* of the body; -1: not told */
	uint64_t first;      /* status 206: number of the first byte */
	int64_t whole;       /* status 206: length of the whole; -1: not told */
	int64_t retry_s;     /* Retry-After; -1: none */
	char hash[72];       /* the file's, in hex, where the server that was asked tells it */
	char error_code[32]; /* Hugging Face's name of the failure: "GatedRepo"; or "" */
};

struct http_request {
	const char *url;
	const char *token; /* NULL: none */
	uint64_t from;     /* not 0: asks for the bytes from here on */

	/* Called once when the answer is 200 or 206, before any of its bytes, and
	 * then for each piece of it.  Not 0 ends the request with that value; they
	 * have set *e by then. */
	int (*begin)(void *ud, const struct http_reply *reply, struct err *e);
	int (*sink)(void *ud, const void *data, size_t n, struct err *e);
	/* Asked at least once a second; true ends the request with ERR_CANCELLED. */
	bool (*stop)(void *ud);
	void *ud;
};

/* timeout_s: after so long without a connection, or without 100 bytes a second,
 * the line counts as cut.  Threads: each its own. */
int http_open(unsigned timeout_s, struct http **ret, struct err *e);
void http_close(struct http *h); /* NULL-safe */

/* Connections are kept for the next request to the same host. */
int http_get(struct http *h, const struct http_request *q, struct http_reply *reply, struct err *e);

/* Whether S is http:// or https:// with a host, without a user, a query or control
 * bytes: good to put in front of a path. */
bool is_endpoint(const char *s);

#endif
