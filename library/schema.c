/* The tables of the library.  A published step is never edited: what changes is
 * a new one, with a test that starts from the version before. */
#include "library/schema.h"

#include "library/db.h"

/* Times are milliseconds since 1970, UTC; 64-bit seeds are stored as the signed
 * number of the same bits. */
static const char first[] =
	/* What was typed.  `parent` is the prompt it was made of, `changed` says how. */
	"CREATE TABLE prompts ("
	" id INTEGER PRIMARY KEY,"
	" text TEXT NOT NULL,"
	" negative TEXT,"
	" parent INTEGER REFERENCES prompts(id),"
	" changed TEXT NOT NULL DEFAULT '',"
	" created INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX prompts_text ON prompts(text);"
	"CREATE INDEX prompts_parent ON prompts(parent) WHERE parent IS NOT NULL;"

	/* Work to do, and what became of it: one take each (queue.c).  `options` is
	 * the JSON of everything that is not a column. */
	"CREATE TABLE jobs ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" batch INTEGER NOT NULL,"
	" prompt INTEGER NOT NULL REFERENCES prompts(id),"
	" model TEXT NOT NULL,"
	" seed INTEGER NOT NULL,"
	" seconds TEXT NOT NULL DEFAULT '',"
	" options TEXT NOT NULL DEFAULT '{}',"
	" state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN"
	"  ('queued', 'claimed', 'rendering', 'done', 'failed', 'cancelled')),"
	" priority INTEGER NOT NULL DEFAULT 0,"
	" place INTEGER NOT NULL,"
	" held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),"
	" stopping INTEGER NOT NULL DEFAULT 0 CHECK (stopping IN (0, 1)),"
	" passed INTEGER NOT NULL DEFAULT 0,"
	" attempts INTEGER NOT NULL DEFAULT 0,"
	" worker INTEGER REFERENCES workers(id),"
	" heartbeat INTEGER,"
	" stage TEXT,"
	" done INTEGER NOT NULL DEFAULT 0,"
	" total INTEGER NOT NULL DEFAULT 0,"
	" file TEXT,"
	" error TEXT,"
	" take INTEGER UNIQUE REFERENCES takes(id) ON DELETE SET NULL,"
	" created INTEGER NOT NULL,"
	" started INTEGER,"
	" ended INTEGER,"
	" CHECK ((state IN ('claimed', 'rendering')) = (worker IS NOT NULL)),"
	" CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended IS NOT NULL))"
	") STRICT;"
	"CREATE INDEX jobs_next ON jobs(priority DESC, place, id) WHERE state = 'queued';"
	"CREATE INDEX jobs_live ON jobs(worker) WHERE state IN ('claimed', 'rendering');"
	"CREATE INDEX jobs_batch ON jobs(batch);"

	/* Processes that take jobs; who holds the lock on LIBRARY/workers/LOCK is alive. */
	"CREATE TABLE workers ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" lock TEXT NOT NULL UNIQUE,"
	" pid INTEGER NOT NULL,"
	" host TEXT NOT NULL,"
	" model TEXT,"
	" device TEXT,"
	" bytes INTEGER NOT NULL DEFAULT 0,"
	" unload INTEGER NOT NULL DEFAULT 0 CHECK (unload IN (0, 1)),"
	" heartbeat INTEGER NOT NULL,"
	" started INTEGER NOT NULL"
	") STRICT;"

	/* Models that made something. */
	"CREATE TABLE models ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL,"
	" hash TEXT NOT NULL DEFAULT '',"
	" UNIQUE (name, hash)"
	") STRICT;"

	/* Music.  Rows are small, so that a list of many takes is quick to go through;
	 * what only one take's page shows is in `files`. */
	"CREATE TABLE takes ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" trashed INTEGER,"
	" favourite INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1)),"
	" rating INTEGER NOT NULL DEFAULT 0 CHECK (rating BETWEEN 0 AND 5),"
	" missing INTEGER NOT NULL DEFAULT 0 CHECK (missing IN (0, 1)),"
	" prompt INTEGER NOT NULL REFERENCES prompts(id),"
	" model INTEGER NOT NULL REFERENCES models(id),"
	" job INTEGER,"
	" parent INTEGER REFERENCES takes(id) ON DELETE SET NULL,"
	" created INTEGER NOT NULL,"
	" seed INTEGER NOT NULL,"
	" frames INTEGER NOT NULL,"
	" rate INTEGER NOT NULL CHECK (rate > 0),"
	" channels INTEGER NOT NULL CHECK (channels > 0),"
	" guidance REAL,"
	" lufs REAL,"
	" peak REAL,"
	" score REAL,"
	" verdict TEXT NOT NULL DEFAULT '' CHECK (verdict IN ('', 'kept', 'rejected'))"
	") STRICT;"
	"CREATE INDEX takes_prompt ON takes(prompt);"
	"CREATE INDEX takes_model ON takes(model);"
	"CREATE INDEX takes_seed ON takes(seed);"
	"CREATE INDEX takes_created ON takes(created);"
	"CREATE INDEX takes_rating ON takes(rating);"
	"CREATE INDEX takes_length ON takes(frames * 1.0 / rate);"
	"CREATE INDEX takes_lufs ON takes(lufs);"
	"CREATE INDEX takes_favourite ON takes(favourite) WHERE favourite;"
	"CREATE INDEX takes_missing ON takes(missing) WHERE missing;"
	"CREATE INDEX takes_trashed ON takes(trashed) WHERE trashed IS NOT NULL;"
	/* `name` is relative to the library; `recipe` is all that made it, as in the
	 * file. */
	"CREATE TABLE files ("
	" take INTEGER PRIMARY KEY REFERENCES takes(id) ON DELETE CASCADE,"
	" name TEXT NOT NULL UNIQUE,"
	" recipe TEXT NOT NULL DEFAULT '{}',"
	" note TEXT NOT NULL DEFAULT ''"
	") STRICT;"
	"CREATE TABLE tags ("
	" take INTEGER NOT NULL REFERENCES takes(id) ON DELETE CASCADE,"
	" tag TEXT NOT NULL COLLATE NOCASE CHECK (tag <> ''),"
	" PRIMARY KEY (take, tag)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX tags_tag ON tags(tag);"

	/* The words of a take: its prompt, negative prompt, tags and note.  Kept by
	 * triggers, so that no writer can forget.  `every` is the same in each: what a
	 * search without any word to have begins with. */
	"CREATE VIRTUAL TABLE words USING fts5(prompt, negative, tags, note, every,"
	" tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3');"
	"CREATE TRIGGER words_add AFTER INSERT ON files BEGIN"
	" INSERT INTO words(rowid, prompt, negative, tags, note, every)"
	"  SELECT NEW.take, p.text, p.negative, '', NEW.note, 'x'"
	"  FROM takes t JOIN prompts p ON p.id = t.prompt WHERE t.id = NEW.take; END;"
	"CREATE TRIGGER words_drop AFTER DELETE ON takes BEGIN"
	" DELETE FROM words WHERE rowid = OLD.id; END;"
	"CREATE TRIGGER words_note AFTER UPDATE OF note ON files BEGIN"
	" UPDATE words SET note = NEW.note WHERE rowid = NEW.take; END;"
	"CREATE TRIGGER words_tag AFTER INSERT ON tags BEGIN"
	" UPDATE words SET tags = (SELECT group_concat(tag, ' ') FROM tags WHERE take = NEW.take)"
	"  WHERE rowid = NEW.take; END;"
	"CREATE TRIGGER words_untag AFTER DELETE ON tags BEGIN"
	" UPDATE words SET tags = coalesce((SELECT group_concat(tag, ' ') FROM tags"
	"  WHERE take = OLD.take), '') WHERE rowid = OLD.take; END;"

	/* What renders took, for forecasts. */
	"CREATE TABLE measures ("
	" id INTEGER PRIMARY KEY,"
	" model TEXT NOT NULL,"
	" device TEXT NOT NULL,"
	" precision TEXT NOT NULL,"
	" seconds REAL NOT NULL,"
	" steps INTEGER NOT NULL DEFAULT 0,"
	" takes INTEGER NOT NULL,"
	" load_s REAL NOT NULL,"
	" wall_s REAL NOT NULL,"
	" bytes INTEGER NOT NULL,"
	" created INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX measures_model ON measures(model, id);"

	"CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE filters (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	/* What a user did to takes and jobs, to be taken back (undo.c).  Rows of one
	 * action share `action`. */
	"CREATE TABLE undo ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" action INTEGER NOT NULL,"
	" label TEXT NOT NULL,"
	" undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1)),"
	" take INTEGER NOT NULL REFERENCES takes(id) ON DELETE CASCADE,"
	" field TEXT NOT NULL,"
	" old TEXT,"
	" new TEXT,"
	" created INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX undo_action ON undo(action);"
	"CREATE INDEX undo_take ON undo(take);";

/* What each engine can be told: woodshed-engine writes it, forms are drawn from it
 * (parameters.h). */
static const char second[] =
	"CREATE TABLE engines ("
	" name TEXT PRIMARY KEY,"
	" is_endless INTEGER NOT NULL CHECK (is_endless IN (0, 1))"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE parameters ("
	" engine TEXT NOT NULL REFERENCES engines(name) DEFERRABLE INITIALLY DEFERRED,"
	" place INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" label TEXT NOT NULL,"
	" unit TEXT NOT NULL DEFAULT '',"
	" kind TEXT NOT NULL,"
	" low REAL,"
	" high REAL,"
	" otherwise TEXT NOT NULL DEFAULT '',"
	" choices TEXT NOT NULL DEFAULT '',"
	" help TEXT NOT NULL DEFAULT '',"
	" PRIMARY KEY (engine, place),"
	" UNIQUE (engine, name)"
	") STRICT, WITHOUT ROWID;";

/* Whether somebody has heard a take.  Of those that are older nobody knows: a user who
 * judged one had heard it. */
static const char third[] =
	"ALTER TABLE takes ADD COLUMN heard INTEGER NOT NULL DEFAULT 0 CHECK (heard IN (0, 1));"
	"UPDATE takes SET heard = 1 WHERE favourite OR rating OR verdict <> ''"
	" OR trashed IS NOT NULL;"
	"CREATE INDEX takes_heard ON takes(heard) WHERE heard;";

/* Changes that can be taken back are of jobs, settings and filters as well; when they were
 * made nobody asks. */
static const char fourth[] =
	"CREATE TABLE changes ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" action INTEGER NOT NULL,"
	" label TEXT NOT NULL,"
	" undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1)),"
	" take INTEGER REFERENCES takes(id) ON DELETE CASCADE,"
	" job INTEGER REFERENCES jobs(id) ON DELETE CASCADE,"
	" name TEXT,"
	" field TEXT NOT NULL,"
	" old TEXT,"
	" new TEXT,"
	" CHECK ((take IS NOT NULL) + (job IS NOT NULL) + (name IS NOT NULL) = 1)"
	") STRICT;"
	"INSERT INTO changes(id, action, label, undone, take, field, old, new)"
	" SELECT id, action, label, undone, take, field, old, new FROM undo;"
	"DROP TABLE undo;"
	"ALTER TABLE changes RENAME TO undo;"
	"CREATE INDEX undo_action ON undo(action);"
	"CREATE INDEX undo_take ON undo(take) WHERE take IS NOT NULL;"
	"CREATE INDEX undo_job ON undo(job) WHERE job IS NOT NULL;";

/* What ended lately, however many jobs are younger. */
static const char fifth[] = "CREATE INDEX jobs_ended ON jobs(ended) WHERE ended IS NOT NULL;"
			    "CREATE INDEX jobs_failed ON jobs(ended) WHERE state = 'failed';";

const char *const schema_steps[DB_SCHEMA] = {first, second, third, fourth, fifth};
