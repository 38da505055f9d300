#include "ingest/series_rules.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTS_MAX = 64, WORDS_MAX = 4096 /* bytes of a rule's words */ };

struct slot {
    const char *name; /* NULL: free */
    uint32_t len;
    int32_t metric;      /* of the schema, or -1: a rule's name */
    int32_t first, last; /* rules of that name */
    bool builtin;
};

struct series_rules {
    const struct schema *schema;
    uint64_t digest;
    char *texts[2]; /* the user's and the built-in one, cut into words in place */
    struct series_rule *rules;
    size_t count, cap;
    struct slot *slots; /* open addressing; a power of two, at least twice the names */
    size_t slot_mask;
};

static struct slot *slot_of(const struct series_rules *rules, const char *name, size_t len)
{
    size_t i = (size_t)fw_hash_stable(name, len) & rules->slot_mask;
    while (rules->slots[i].name != NULL &&
           (rules->slots[i].len != len || memcmp(rules->slots[i].name, name, len) != 0))
        i = (i + 1) & rules->slot_mask;
    return &rules->slots[i];
}

static struct slot *add_name(struct series_rules *rules, const char *name, int metric, bool builtin)
{
    struct slot *slot = slot_of(rules, name, strlen(name));
    if (slot->name == NULL)
        *slot = (struct slot){name, (uint32_t)strlen(name), metric, -1, -1, builtin};
    return slot;
}

/* ---- the language ---- */

struct parser {
    struct series_rules *rules;
    struct fw_error *err;
    size_t line;
    bool builtin;
    size_t lists;
    struct {
        const char *name, *words;
    } list[LISTS_MAX];
};

static enum fw_status wrong(const struct parser *p, const char *what, const char *word)
{
    return fw_fail_at(p->err, FW_EINVAL, p->line, "%s%s%.80s%s", what, word != NULL ? " \"" : "",
                      word != NULL ? word : "", word != NULL ? "\"" : "");
}

/* Cuts the next blank-separated word off *at; NULL: none is left. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " \t");
    if (*word == '\0')
        return NULL;
    char *end = word + strcspn(word, " \t");
    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool is(const char *word, const char *expected)
{
    return word != NULL && strcmp(word, expected) == 0;
}

static enum fw_status parse_list(struct parser *p, char *line)
{
    char *name = next_word(&line);
    if (!is(next_word(&line), "="))
        return wrong(p, "expected = behind", name);
    if (p->lists == LISTS_MAX)
        return fw_fail_at(p->err, FW_ELIMIT, p->line, "more than %d lists", LISTS_MAX);
    line += strspn(line, " \t");
    if (*line == '\0')
        return wrong(p, "an empty list", name);
    p->list[p->lists].name = name;
    p->list[p->lists++].words = line;
    return FW_OK;
}

static const char *find_list(const struct parser *p, const char *name)
{
    for (size_t i = p->lists; i-- > 0;)
        if (strcmp(p->list[i].name, name) == 0)
            return p->list[i].words;
    return NULL;
}

static bool find_test(const char *word, enum series_test *test)
{
    static const char *const names[] = {[SERIES_IS_ONE_OF] = "is",
                                        [SERIES_BEGINS] = "begins",
                                        [SERIES_IS_BELOW] = "below",
                                        [SERIES_CONTAINS] = "contains"};
    for (size_t i = SERIES_IS_ONE_OF; i < COUNT(names); i++) {
        if (!is(word, names[i]))
            continue;
        *test = (enum series_test)i;
        return true;
    }
    return false;
}

static bool find_role(const char *word, enum series_role *role)
{
    static const struct {
        const char *name;
        enum series_role role;
    } names[] = {
        {"ignore",          SERIES_IGNORED        },
        {"sum",             SERIES_SUM            },
        {"max",             SERIES_MAX            },
        {"rate",            SERIES_RATE           },
        {"share",           SERIES_SHARE          },
        {"whole",           SERIES_WHOLE          },
        {"cpu.user",        SERIES_CPU_USER       },
        {"cpu.sys",         SERIES_CPU_SYS        },
        {"cpu.iowait",      SERIES_CPU_IOWAIT     },
        {"cpu.idle",        SERIES_CPU_IDLE       },
        {"cpu.other",       SERIES_CPU_OTHER      },
        {"java.cpu",        SERIES_JAVA_CPU       },
        {"net.in",          SERIES_NET_IN         },
        {"net.out",         SERIES_NET_OUT        },
        {"mem.total",       SERIES_MEM_TOTAL      },
        {"mem.available",   SERIES_MEM_AVAILABLE  },
        {"mem.free",        SERIES_MEM_FREE       },
        {"mem.buffers",     SERIES_MEM_BUFFERS    },
        {"mem.cached",      SERIES_MEM_CACHED     },
        {"mem.reclaimable", SERIES_MEM_RECLAIMABLE},
        {"swap.total",      SERIES_SWAP_TOTAL     },
        {"swap.free",       SERIES_SWAP_FREE      },
        {"disk.size",       SERIES_DISK_SIZE      },
        {"disk.free",       SERIES_DISK_FREE      },
        {"disk.available",  SERIES_DISK_AVAILABLE },
        {"disk.readonly",   SERIES_DISK_READONLY  },
        {"disk.used",       SERIES_DISK_USED      },
        {"tcp.close_wait",  SERIES_TCP_CLOSE_WAIT },
        {"tcp.other",       SERIES_TCP_OTHER      },
        {"time",            SERIES_TIME           },
        {"boot_time",       SERIES_BOOT_TIME      },
        {"cores",           SERIES_CORES          },
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!is(word, names[i].name))
            continue;
        *role = names[i].role;
        return true;
    }
    return false;
}

/* [LABEL TEST WORDS...] up to the arrow, which is cut off already. */
static enum fw_status parse_test(const struct parser *p, char *at, struct series_rule *rule)
{
    rule->label = next_word(&at);
    if (rule->label == NULL)
        return FW_OK;
    const char *test = next_word(&at);
    if (test == NULL || !find_test(test, &rule->test))
        return wrong(p, "expected is, begins, below or contains behind the label", rule->label);
    at += strspn(at, " \t");
    size_t len = strlen(at);
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        at[--len] = '\0';
    if (len == 0)
        return wrong(p, "expected a word behind", test);
    if (len > WORDS_MAX)
        return wrong(p, "more than 4096 bytes of words", NULL);
    rule->words = at;
    if (*at == '@' && (rule->words = find_list(p, at)) == NULL)
        return wrong(p, "no list of the name", at);
    return FW_OK;
}

static enum fw_status parse_number(const struct parser *p, const char *word, double *value)
{
    char *end;
    if (word == NULL)
        return wrong(p, "expected a number at the end of the line", NULL);
    *value = strtod(word, &end);
    return *end == '\0' && end != word && isfinite(*value) ? FW_OK : wrong(p, "no number:", word);
}

/* [level] [* NUMBER] [+ NUMBER] [by LABEL...] */
static enum fw_status parse_rest(const struct parser *p, char *at, struct series_rule *rule)
{
    enum fw_status status = FW_OK;
    const char *word = next_word(&at);
    if (is(word, "level")) {
        if (rule->role < SERIES_CPU_USER || rule->role > SERIES_NET_OUT)
            return wrong(p, "only cpu, java and net parts have a level", NULL);
        rule->level = true;
        word = next_word(&at);
    }
    if (is(word, "*")) {
        status = parse_number(p, next_word(&at), &rule->scale);
        word = next_word(&at);
    }
    if (status == FW_OK && is(word, "+")) {
        status = parse_number(p, next_word(&at), &rule->offset);
        word = next_word(&at);
    }
    if (status != FW_OK || word == NULL)
        return status;
    if (!is(word, "by"))
        return wrong(p, "expected *, + or by, not", word);
    for (size_t i = 0; (word = next_word(&at)) != NULL; i++) {
        if (i == SERIES_KEYS_MAX)
            return wrong(p, "at most four labels behind by", NULL);
        rule->keys[i] = word;
    }
    return rule->keys[0] != NULL ? FW_OK : wrong(p, "expected a label behind by", NULL);
}

static enum fw_status parse_meaning(const struct parser *p, char *at, struct series_rule *rule)
{
    const char *word = next_word(&at);
    if (word == NULL)
        return wrong(p, "expected a meaning behind ->", NULL);
    rule->metric = -1;
    rule->scale = 1.0;
    if (!find_role(word, &rule->role))
        rule->role = SERIES_GAUGE;
    else if (rule->role >= SERIES_SUM && rule->role <= SERIES_WHOLE)
        word = next_word(&at);
    if (rule->role >= SERIES_GAUGE && rule->role <= SERIES_WHOLE) {
        if (word == NULL)
            return wrong(p, "expected a metric at the end of the line", NULL);
        rule->metric = schema_find(p->rules->schema, word, strlen(word));
        if (rule->metric < 0)
            return wrong(p, "neither a part nor a metric of the schema:", word);
    }
    return parse_rest(p, at, rule);
}

static enum fw_status add_rule(const struct parser *p, const struct series_rule *rule)
{
    struct series_rules *rules = p->rules;
    struct slot *slot = add_name(rules, rule->series, -1, p->builtin);
    if (slot->metric >= 0)
        return wrong(p, "a metric of the schema needs no rule:", rule->series);
    if (p->builtin && !slot->builtin)
        return FW_OK; /* the user's */
    if (rules->count == rules->cap) {
        const size_t cap = rules->cap == 0 ? 256 : rules->cap * 2;
        void *more = fw_realloc_array(rules->rules, cap, sizeof *rules->rules);
        if (more == NULL)
            return fw_fail(p->err, FW_ENOMEM, "out of memory");
        rules->rules = more;
        rules->cap = cap;
    }
    const int32_t at = (int32_t)rules->count++;
    rules->rules[at] = *rule;
    rules->rules[at].next = -1;
    if (slot->first < 0)
        slot->first = at;
    else
        rules->rules[slot->last].next = at;
    slot->last = at;
    return FW_OK;
}

static enum fw_status parse_rule(const struct parser *p, char *line)
{
    struct series_rule rule = {0};
    char *arrow = strstr(line, "->");
    if (arrow == NULL)
        return wrong(p, "expected SERIES [LABEL TEST WORDS] -> MEANING", NULL);
    *arrow = '\0';
    rule.series = next_word(&line);
    if (rule.series == NULL)
        return wrong(p, "expected a series before ->", NULL);
    if (p->rules->count >= (p->builtin ? 2 * SERIES_RULES_MAX : SERIES_RULES_MAX))
        return fw_fail_at(p->err, FW_ELIMIT, p->line, "more than %d rules", SERIES_RULES_MAX);
    enum fw_status status = parse_test(p, line, &rule);
    if (status == FW_OK)
        status = parse_meaning(p, arrow + 2, &rule);
    return status == FW_OK ? add_rule(p, &rule) : status;
}

/* `text` is cut up, and kept by the rules. */
static enum fw_status parse_text(struct parser *p, char *text)
{
    enum fw_status status = FW_OK;
    for (char *line = text; line != NULL && status == FW_OK;) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        line += strspn(line, " \t");
        p->line++;
        if (*line == '@')
            status = parse_list(p, line);
        else if (*line != '\0' && *line != '#')
            status = parse_rule(p, line);
        line = end;
    }
    return status;
}

static char *copy(const char *text, size_t len)
{
    char *own = fw_malloc(len + 1);
    if (own != NULL && len > 0)
        memcpy(own, text, len);
    if (own != NULL)
        own[len] = '\0';
    return own;
}

static char *copy_builtin(void)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; series_builtin[i] != NULL; i++)
        len += strlen(series_builtin[i]);
    char *own = fw_malloc(len + 1);
    for (size_t i = 0; own != NULL && series_builtin[i] != NULL; i++) {
        memcpy(own + at, series_builtin[i], strlen(series_builtin[i]));
        at += strlen(series_builtin[i]);
    }
    if (own != NULL)
        own[len] = '\0';
    return own;
}

/* Small enough to stay in the processor's cache: every series that arrives is looked up. */
static bool make_slots(struct series_rules *rules)
{
    size_t names = rules->schema->count, size = 64;
    for (size_t i = 0; i < COUNT(rules->texts); i++)
        for (const char *at = rules->texts[i]; *at != '\0'; at++)
            names += *at == '\n' || at[1] == '\0';
    while (size < 2 * names)
        size *= 2;
    rules->slots = fw_calloc(size, sizeof *rules->slots);
    rules->slot_mask = size - 1;
    return rules->slots != NULL;
}

enum fw_status series_rules_parse(const struct schema *schema, const char *text, size_t len,
                                  struct series_rules **out, struct fw_error *err)
{
    *out = NULL;
    if (len > SERIES_RULES_TEXT_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d bytes", SERIES_RULES_TEXT_MAX);
    if (len > 0 && memchr(text, '\0', len) != NULL)
        return fw_fail(err, FW_EINVAL, "a NUL byte: this is no text");
    struct series_rules *rules = fw_calloc(1, sizeof *rules);
    if (rules == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    rules->schema = schema;
    rules->digest = fw_hash_stable(text, len);
    rules->texts[0] = copy(text, len);
    rules->texts[1] = copy_builtin();
    enum fw_status status = rules->texts[0] != NULL && rules->texts[1] != NULL && make_slots(rules)
                                ? FW_OK
                                : fw_fail(err, FW_ENOMEM, "out of memory");
    for (size_t i = 0; i < schema->count && status == FW_OK; i++)
        (void)add_name(rules, schema->metrics[i].name, (int)i, false);
    for (int i = 0; i < 2 && status == FW_OK; i++) {
        struct parser p = {.rules = rules, .err = err, .builtin = i == 1};
        status = parse_text(&p, rules->texts[i]);
        assert(i == 0 || status != FW_EINVAL);
    }
    if (status == FW_OK) {
        *out = rules;
        rules = NULL;
    }
    series_rules_free(rules);
    return status;
}

uint64_t series_rules_digest(const struct series_rules *rules)
{
    return rules->digest;
}

struct series_rules *series_rules_new(const struct schema *schema)
{
    struct series_rules *rules;
    return series_rules_parse(schema, "", 0, &rules, NULL) == FW_OK ? rules : NULL;
}

enum fw_status series_rules_read(const struct schema *schema, const char *path,
                                 struct series_rules **out, struct fw_error *err)
{
    struct fw_error why = {0};
    *out = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fw_fail(err, FW_EIO, "%s: %s", path, strerror(errno));
    char *text = fw_malloc(SERIES_RULES_TEXT_MAX + 1);
    if (text == NULL) {
        fclose(file);
        return fw_fail(err, FW_ENOMEM, "%s: out of memory", path);
    }
    const size_t len = fread(text, 1, SERIES_RULES_TEXT_MAX + 1, file);
    const bool failed = ferror(file) != 0;
    fclose(file);
    enum fw_status status = failed ? fw_fail(err, FW_EIO, "%s: cannot be read", path)
                                   : series_rules_parse(schema, text, len, out, &why);
    fw_free(text);
    if (!failed && status != FW_OK)
        status = fw_fail_at(err, status, why.offset, "%s:%llu: %s", path,
                            (unsigned long long)why.offset, why.text);
    return status;
}

void series_rules_free(struct series_rules *rules)
{
    if (rules == NULL)
        return;
    fw_free(rules->texts[0]);
    fw_free(rules->texts[1]);
    fw_free(rules->rules);
    fw_free(rules->slots);
    fw_free(rules);
}

/* ---- tests ---- */

static bool below(const char *value, size_t len, const char *path, size_t path_len)
{
    return len >= path_len && memcmp(value, path, path_len) == 0 &&
           (len == path_len || value[path_len] == '/');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *value, size_t len, const char *word, size_t word_len)
{
    for (size_t i = 0; i + word_len <= len; i++) {
        size_t k = 0;
        while (k < word_len && lower(value[i + k]) == lower(word[k]))
            k++;
        if (k == word_len)
            return true;
    }
    return false;
}

static bool word_fits(enum series_test test, const char *value, size_t len, const char *word,
                      size_t word_len)
{
    switch (test) {
    case SERIES_ANY:
        return true;
    case SERIES_IS_ONE_OF:
        return len == word_len && memcmp(value, word, len) == 0;
    case SERIES_BEGINS:
        return len >= word_len && memcmp(value, word, word_len) == 0;
    case SERIES_IS_BELOW:
        return below(value, len, word, word_len);
    case SERIES_CONTAINS:
        return contains(value, len, word, word_len);
    }
    return false;
}

static bool fits(const struct series_rule *rule, const struct raw_series *series)
{
    if (rule->test == SERIES_ANY)
        return true;
    const struct raw_label *label = raw_series_label(series, rule->label);
    const char *value = label != NULL ? label->value : "";
    const size_t len = label != NULL ? label->value_len : 0;
    for (const char *word = rule->words; *word != '\0';) {
        const size_t word_len = strcspn(word, " ");
        if (word_len > 0 && word_fits(rule->test, value, len, word, word_len))
            return true;
        word += word_len;
        word += *word == ' ';
    }
    return false;
}

bool series_rules_find(const struct series_rules *rules, const struct raw_series *series,
                       struct series_meaning *meaning)
{
    const struct slot *slot = slot_of(rules, series->name, series->name_len);
    *meaning = (struct series_meaning){SERIES_IGNORED, -1, false, false, 1.0, 0.0, NULL};
    if (slot->name == NULL)
        return false;
    if (slot->metric >= 0) {
        meaning->role = SERIES_GAUGE;
        meaning->metric = slot->metric;
        meaning->direct = true;
        return true;
    }
    for (int32_t i = slot->first; i >= 0; i = rules->rules[i].next) {
        const struct series_rule *rule = &rules->rules[i];
        if (!fits(rule, series))
            continue;
        *meaning = (struct series_meaning){rule->role,  rule->metric, false, rule->level,
                                           rule->scale, rule->offset, rule};
        return true;
    }
    return true;
}

/* Whether any rule of the name does more than ignore. */
static bool means_something(const struct series_rules *rules, const struct slot *slot)
{
    if (slot->metric >= 0)
        return true;
    for (int32_t i = slot->first; i >= 0; i = rules->rules[i].next)
        if (rules->rules[i].role != SERIES_IGNORED)
            return true;
    return false;
}

const char *series_rules_name(const struct series_rules *rules, size_t *at)
{
    while (*at <= rules->slot_mask) {
        const struct slot *slot = &rules->slots[(*at)++];
        if (slot->name != NULL && means_something(rules, slot))
            return slot->name;
    }
    return NULL;
}
