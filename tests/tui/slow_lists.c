/* For LD_PRELOAD: lists of takes are a quarter of a second in coming, as from a library that is
 * larger, or a disk that is slower, than a test can have. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sqlite3_stmt;
const char *sqlite3_sql(struct sqlite3_stmt *s);
__attribute__((visibility("default"))) int sqlite3_step(struct sqlite3_stmt *s);

enum { DELAY_US = 250000 };

static int (*step)(struct sqlite3_stmt *s);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_step(void)
{
	*(void **)&step = dlsym(RTLD_NEXT, "sqlite3_step");
}

static int is_list(struct sqlite3_stmt *s)
{
	const char *sql = sqlite3_sql(s);

	return sql && strstr(sql, "takes") && strstr(sql, "ORDER BY");
}

/* Once for each that is asked for on a thread, not for each row. */
int sqlite3_step(struct sqlite3_stmt *s)
{
	static __thread struct sqlite3_stmt *last;

	pthread_once(&once, find_step);
	if (s != last && syscall(SYS_gettid) != getpid() && is_list(s))
		usleep(DELAY_US);
	last = s;
	return step(s);
}
