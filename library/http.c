/* One GET at a time, over libcurl. */
#include "library/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"

enum {
	HOPS_MAX = 8,
	IGNORED_MAX = 64 << 10, /* of a body that says why not */
	BUFFER_BYTES = 256 << 10,
	ORIGIN_BYTES = 320,
	HEADER_BYTES_MAX = 512, /* of a header's value that is looked at */
};

struct http {
	CURL *curl;
	long timeout_s;
	char why[CURL_ERROR_SIZE];
};

/* One request of a chain of redirects. */
struct hop {
	struct http *h;
	const struct http_request *q;
	struct http_reply *reply;
	struct err *e;
	bool begun;
	bool is_first;
	int rc;         /* of begin, sink or stop */
	size_t ignored; /* bytes of a body that nobody wants */
};

/* ---- URLs --------------------------------------------------------------- */

/* Scheme, host and port, for comparison; false when the URL is not one we may use. */
static bool origin_of(const char *url, char out[ORIGIN_BYTES])
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	struct str s = {0};
	bool ok = u && !curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) &&
		  !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
		  !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
		  !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
		  (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https"));

	if (ok)
		str_printf(&s, "%s://%s:%s", scheme, host, port);
	ok = ok && s.n < ORIGIN_BYTES;
	if (ok)
		memcpy(out, s.s, s.n + 1);
	str_done(&s);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return ok;
}

bool is_endpoint(const char *s)
{
	char origin[ORIGIN_BYTES];

	for (const char *c = s; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("?#\\", *c))
			return false;
	return (has_prefix(s, "https://") || has_prefix(s, "http://")) && origin_of(s, origin);
}

/* ---- headers ------------------------------------------------------------ */

/* The value of LINE when it is the header NAME, without blanks around. */
static bool is_header(const char *line, size_t n, const char *name, char out[HEADER_BYTES_MAX])
{
	size_t n_name = strlen(name);

	if (n <= n_name || strncasecmp(line, name, n_name) || line[n_name] != ':')
		return false;
	line += n_name + 1;
	n -= n_name + 1;
	while (n && strchr(" \t", *line)) {
		line++;
		n--;
	}
	while (n && strchr(" \t\r\n", line[n - 1]))
		n--;
	if (n >= HEADER_BYTES_MAX)
		return false;
	memcpy(out, line, n);
	out[n] = 0;
	return true;
}

/* "bytes 100-199/200" or "bytes 100-199/" and a star. */
static void read_range(const char *value, struct http_reply *reply)
{
	char first[32], whole[32];
	size_t n;
	uint64_t number;

	if (strncasecmp(value, "bytes ", 6))
		return;
	value += 6;
	n = strcspn(value, "-");
	if (n < sizeof(first) && value[n]) {
		memcpy(first, value, n);
		first[n] = 0;
		if (parse_u64(first, &number))
			reply->first = number;
	}
	value = strchr(value, '/');
	if (!value || strlen(value + 1) >= sizeof(whole))
		return;
	if (parse_u64(value + 1, &number) && number <= INT64_MAX)
		reply->whole = (int64_t)number;
}

/* An ETag is the file's hash when it is plain hex, of SHA-1's or SHA-256's length;
 * others have other meanings. */
static void read_hash(char *value, struct http_reply *reply)
{
	size_t n;

	if (*value == '"')
		value++;
	n = strspn(value, "0123456789abcdef");
	if (!strcmp(value + n, "\"") || !value[n]) {
		if (n != 40 && n != 64)
			return;
		memcpy(reply->hash, value, n);
		reply->hash[n] = 0;
	}
}

static size_t on_header(char *line, size_t size, size_t n, void *ud)
{
	struct hop *hop = ud;
	struct http_reply *reply = hop->reply;
	char value[HEADER_BYTES_MAX];

	(void)size; /* always 1 */
	if (is_header(line, n, "content-range", value))
		read_range(value, reply);
	else if (is_header(line, n, "x-error-code", value) &&
		 strlen(value) < sizeof(reply->error_code))
		memcpy(reply->error_code, value, strlen(value) + 1);
	else if (is_header(line, n, "link", value) && strstr(value, "rel=\"next\""))
		reply->has_more = true;
	/* Storage behind the server has ETags of its own.  Of a file in large
	 * storage, the server's own is in another header. */
	else if (hop->is_first && is_header(line, n, "x-linked-etag", value))
		read_hash(value, reply);
	else if (hop->is_first && !reply->hash[0] && is_header(line, n, "etag", value))
		read_hash(value, reply);
	return n;
}

/* ---- the body ----------------------------------------------------------- */

static bool is_wanted(long status)
{
	return status == 200 || status == 206;
}

static int begin(struct hop *hop)
{
	curl_off_t length = -1;

	if (hop->begun)
		return 0;
	hop->begun = true;
	curl_easy_getinfo(hop->h->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	hop->reply->length = length;
	return hop->q->begin(hop->q->ud, hop->reply, hop->e);
}

static size_t on_body(char *data, size_t size, size_t n, void *ud)
{
	struct hop *hop = ud;

	(void)size; /* always 1 */
	curl_easy_getinfo(hop->h->curl, CURLINFO_RESPONSE_CODE, &hop->reply->status);
	if (!is_wanted(hop->reply->status)) {
		hop->ignored += n;
		return hop->ignored <= IGNORED_MAX ? n : 0;
	}
	hop->rc = begin(hop);
	if (!hop->rc)
		hop->rc = hop->q->sink(hop->q->ud, data, n, hop->e);
	return hop->rc ? 0 : n;
}

static int on_progress(void *ud, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct hop *hop = ud;

	if (hop->q->stop && hop->q->stop(hop->q->ud))
		hop->rc = ERR_CANCELLED;
	return hop->rc != 0;
}

/* ---- a request ---------------------------------------------------------- */

static void set_options(struct hop *hop, const char *url)
{
	CURL *c = hop->h->curl;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, hop->h->timeout_s);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, hop->h->timeout_s);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, hop->h->why);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, hop);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, hop);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, hop);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

/* false: memory is gone. */
static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
	struct curl_slist *longer;
	struct str line = {0};

	str_printf(&line, "%s: %s", name, value);
	longer = curl_slist_append(*headers, line.s);
	str_done(&line);
	if (longer)
		*headers = longer;
	return longer != NULL;
}

static bool add_headers(struct hop *hop, const char *token, struct curl_slist **headers)
{
	struct str agent = {0}, bearer = {0}, range = {0};
	bool ok;

	str_printf(&agent, "woodshed/%s", woodshed_version);
	ok = add_header(headers, "User-Agent", agent.s);
	if (ok && token) {
		str_printf(&bearer, "Bearer %s", token);
		ok = add_header(headers, "Authorization", bearer.s);
	}
	if (ok && hop->q->from) {
		str_printf(&range, "bytes=%llu-", (unsigned long long)hop->q->from);
		ok = add_header(headers, "Range", range.s);
	}
	str_done(&agent);
	str_done(&bearer);
	str_done(&range);
	return ok && !curl_easy_setopt(hop->h->curl, CURLOPT_HTTPHEADER, *headers);
}

/* Whether the same again may go better. */
static bool may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_OUT_OF_MEMORY:
	case CURLE_FAILED_INIT:
		return false;
	default:
		return true;
	}
}

static int report(struct hop *hop, CURLcode code, const char *origin)
{
	const char *why = hop->h->why[0] ? hop->h->why : curl_easy_strerror(code);

	hop->reply->is_cut = may_pass(code);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(hop->e, ERR_IO,
			"%s does not prove who it is (%s): check the clock, and install "
			"ca-certificates",
			origin, why);
	return err_set(
		hop->e, ERR_IO, "the line to %s failed (%s): check the network", origin, why);
}

/* All of the hop before, but for the file's hash, which the first one told. */
static void forget(struct hop *hop)
{
	struct http_reply fresh = {.length = -1, .whole = -1, .retry_s = -1};

	if (!hop->is_first)
		memcpy(fresh.hash, hop->reply->hash, sizeof(fresh.hash));
	*hop->reply = fresh;
	hop->h->why[0] = 0;
}

static int perform(struct hop *hop, const char *url, const char *token, const char *origin)
{
	struct curl_slist *headers = NULL;
	curl_off_t retry = 0;
	CURLcode code;

	forget(hop);
	set_options(hop, url);
	code = add_headers(hop, token, &headers) ? curl_easy_perform(hop->h->curl)
						 : CURLE_OUT_OF_MEMORY;
	curl_slist_free_all(headers);
	curl_easy_getinfo(hop->h->curl, CURLINFO_RESPONSE_CODE, &hop->reply->status);
	if (!curl_easy_getinfo(hop->h->curl, CURLINFO_RETRY_AFTER, &retry) && retry > 0)
		hop->reply->retry_s = retry;
	if (hop->rc == ERR_CANCELLED)
		return err_set(hop->e, ERR_CANCELLED, "cancelled");
	if (hop->rc)
		return hop->rc;
	/* The words of a refusal may be cut without harm, by us, too. */
	if (code && hop->reply->status < 300)
		return report(hop, code, origin);
	return is_wanted(hop->reply->status) ? begin(hop) : 0;
}

/* Where the answer sends us, to be freed with free(); NULL: it stays here. */
static char *redirect(const struct hop *hop)
{
	char *url = NULL;

	if (hop->reply->status < 300 || hop->reply->status > 399)
		return NULL;
	curl_easy_getinfo(hop->h->curl, CURLINFO_REDIRECT_URL, &url);
	return url ? strdup(url) : NULL;
}

int http_get(struct http *h, const struct http_request *q, struct http_reply *reply, struct err *e)
{
	char asked[ORIGIN_BYTES], origin[ORIGIN_BYTES];
	const char *token = q->token;
	char *url = strdup(q->url);
	int rc = 0;

	*reply = (struct http_reply){0};
	if (!url || !origin_of(url, asked)) {
		free(url);
		return err_set(e, ERR_ARG, "'%.200s' is no address of a server", q->url);
	}
	for (int i = 0;; i++) {
		struct hop hop = {.h = h, .q = q, .reply = reply, .e = e, .is_first = !i};
		char *next;

		if (!origin_of(url, origin) ||
			(has_prefix(asked, "https:") && !has_prefix(origin, "https:"))) {
			rc = err_set(e, ERR_IO,
				"%s sends us to an address that is not safe: nothing was fetched; "
				"check HF_ENDPOINT",
				asked);
			break;
		}
		if (strcmp(origin, asked))
			token = NULL; /* for the rest of the chain */
		rc = perform(&hop, url, token, origin);
		next = rc ? NULL : redirect(&hop);
		if (!next)
			break;
		free(url);
		url = next;
		if (i == HOPS_MAX) {
			rc = err_set(e, ERR_IO,
				"%s sends us in a circle: try later, or check HF_ENDPOINT", asked);
			break;
		}
	}
	reply->is_elsewhere = strcmp(origin, asked) != 0;
	free(url);
	return rc;
}

int http_open(unsigned timeout_s, struct http **ret, struct err *e)
{
	struct http *h = xcalloc(1, sizeof(*h));

	*ret = NULL;
	h->timeout_s = (long)timeout_s;
	if (!curl_global_init(CURL_GLOBAL_DEFAULT))
		h->curl = curl_easy_init();
	if (!h->curl) {
		free(h);
		return err_set(e, ERR_NOMEM, "libcurl cannot be started: memory is short");
	}
	*ret = h;
	return 0;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	curl_global_cleanup();
	free(h);
}
