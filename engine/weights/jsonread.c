/* JSON with a bound on the memory that its tree takes. */
#include "engine/weights/jsonread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"

/* Twice what the header of the largest checkpoint that we take needs: some
 * 250 bytes of memory an object or list, 50 any other value. */
enum {
	MAX_BYTES = 16 << 20,
	MAX_CONTAINERS = 6 * 65536,
	MAX_VALUES = 32 * 65536,
	MOST_DIGITS = 19, /* of an integer of 64 bits */
};

static bool is_small(const char *s, size_t n)
{
	size_t containers = 0, values = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"')
			in_string = !in_string;
		else if (in_string)
			i += s[i] == '\\';
		else if (s[i] == '{' || s[i] == '[')
			containers++;
		else if (s[i] == ',')
			values++;
	}
	return containers <= MAX_CONTAINERS && values <= MAX_VALUES;
}

int jsonread_text(const char *text, size_t n, const char *name, json_t **ret, struct err *e)
{
	json_error_t why;

	*ret = NULL;
	if (!is_small(text, n))
		return err_set(e, ERR_FORMAT,
			"'%s' holds more values than any model needs: download it again", name);
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!root && json_error_code(&why) == json_error_out_of_memory)
		return err_set(e, ERR_NOMEM, "not enough memory to read '%s'", name);
	if (!root)
		return err_set(e, ERR_FORMAT,
			"'%s' is not valid JSON (line %d, column %d: %s): download it again", name,
			why.line, why.column, why.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, ERR_FORMAT, "'%s' is not a JSON object: download it again", name);
	}
	*ret = root;
	return 0;
}

/* May come back short, when the file shrinks meanwhile. */
static int read_all(int fd, char *text, size_t *n)
{
	size_t done = 0;

	while (done < *n) {
		ssize_t got = read(fd, text + done, *n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		done += (size_t)got;
	}
	*n = done;
	return 0;
}

/* How many bytes from s are those of `set`. */
static size_t span(const char *s, size_t n, const char *set)
{
	size_t i = 0;

	while (i < n && s[i] && strchr(set, s[i]))
		i++;
	return i;
}

/* Integers beyond 64 bits become reals of their size, with an exponent in place of their
 * last two digits: Python writes a tokenizer's lack of a limit as int(1e30). */
static void round_integers(char *s, size_t n)
{
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		const size_t number = in_string ? 0 : span(s + i, n - i, "+-.eE0123456789");
		const size_t sign = number && s[i] == '-';

		if (s[i] == '"')
			in_string = !in_string;
		else if (in_string)
			i += s[i] == '\\';
		if (number - sign > MOST_DIGITS &&
			span(s + i + sign, n - i - sign, "0123456789") == number - sign)
			memcpy(s + i + number - 2, "e2", 2);
		i += number ? number - 1 : 0;
	}
}

int jsonread_file(const char *path, const char *name, json_t **ret, struct err *e)
{
	void *text = NULL;
	struct stat st;
	int rc;

	*ret = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		rc = err_errno(e, errno, "cannot read '%s'", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = err_set(e, ERR_FORMAT, "'%s' is not a file", path);
		goto out;
	}
	if (st.st_size > MAX_BYTES) {
		rc = err_set(e, ERR_FORMAT,
			"'%s' is larger than the 16 MB a JSON file of a model "
			"may have: download it again",
			name);
		goto out;
	}
	size_t n = (size_t)st.st_size;
	rc = mem_try_alloc(&text, n, 1, name, e);
	if (rc)
		goto out;
	if (read_all(fd, text, &n)) {
		rc = err_errno(e, errno, "cannot read '%s'", path);
		goto out;
	}
	round_integers(text, n);
	rc = jsonread_text(text, n, name, ret, e);
out:
	free(text);
	if (fd >= 0)
		close(fd);
	return rc;
}
