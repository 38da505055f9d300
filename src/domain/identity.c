#include "domain/identity.h"

#include "base/hash.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool server_name_valid(const char *name, size_t len)
{
    return fw_name_valid(name, len, SERVER_NAME_MAX);
}

uint32_t server_id(const char *name, size_t len)
{
    unsigned char digest[FW_SHA256_SIZE];
    fw_sha256(name, len, digest);
    const uint32_t head = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                          (uint32_t)digest[2] << 8 | digest[3];
    return head % 1000000;
}

static const struct {
    const char *name, *display;
} profiles[PROFILE_COUNT] = {
    [PROFILE_GENERIC] = {"generic",        "Generic"       },
    [PROFILE_ML_COMPUTE] = {"ml_compute",     "ML Compute"    },
    [PROFILE_DATABASE] = {"database",       "Database"      },
    [PROFILE_WEB_API] = {"web_api",        "Web API"       },
    [PROFILE_CONDUCTOR_MGMT] = {"conductor_mgmt", "Conductor Mgmt"},
    [PROFILE_DATA_INGEST] = {"data_ingest",    "ETL/Ingest"    },
    [PROFILE_RISK_ANALYTICS] = {"risk_analytics", "Risk Analytics"},
};

const char *profile_name(enum profile profile)
{
    return profiles[profile < PROFILE_COUNT ? profile : PROFILE_GENERIC].name;
}

const char *profile_display(enum profile profile)
{
    return profiles[profile < PROFILE_COUNT ? profile : PROFILE_GENERIC].display;
}

static bool equals(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

enum profile profile_parse(const char *text, size_t len)
{
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (equals(text, len, profiles[i].name))
            return (enum profile)i;
    return PROFILE_UNKNOWN;
}

static const struct {
    const char *prefix;
    enum profile profile;
} prefixes[] = {
    {"ppml",        PROFILE_ML_COMPUTE    },
    {"ppgpu",       PROFILE_ML_COMPUTE    },
    {"cptrain",     PROFILE_ML_COMPUTE    },
    {"ml-node-",    PROFILE_ML_COMPUTE    },
    {"ppdb",        PROFILE_DATABASE      },
    {"psdb",        PROFILE_DATABASE      },
    {"oracle",      PROFILE_DATABASE      },
    {"mongo",       PROFILE_DATABASE      },
    {"postgres",    PROFILE_DATABASE      },
    {"mysql",       PROFILE_DATABASE      },
    {"ppweb",       PROFILE_WEB_API       },
    {"ppapi",       PROFILE_WEB_API       },
    {"nginx",       PROFILE_WEB_API       },
    {"tomcat",      PROFILE_WEB_API       },
    {"api-server-", PROFILE_WEB_API       },
    {"ppcon",       PROFILE_CONDUCTOR_MGMT},
    {"ppcond",      PROFILE_CONDUCTOR_MGMT},
    {"conductor",   PROFILE_CONDUCTOR_MGMT},
    {"egomgmt",     PROFILE_CONDUCTOR_MGMT},
    {"maestro",     PROFILE_CONDUCTOR_MGMT},
    {"ppetl",       PROFILE_DATA_INGEST   },
    {"ppkafka",     PROFILE_DATA_INGEST   },
    {"stream",      PROFILE_DATA_INGEST   },
    {"spark",       PROFILE_DATA_INGEST   },
    {"flink",       PROFILE_DATA_INGEST   },
    {"pprisk",      PROFILE_RISK_ANALYTICS},
    {"varrisk",     PROFILE_RISK_ANALYTICS},
    {"credit",      PROFILE_RISK_ANALYTICS},
    {"quant",       PROFILE_RISK_ANALYTICS},
};

/* A pattern ending in '#' stands for "then a digit, '-' or '_', then anything, or nothing": the
 * reference's patterns want a digit, real hosts are as often called nginx-3. */
void profile_rules_default(struct profile_rules *rules)
{
    memset(rules, 0, sizeof *rules);
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        snprintf(rules->rules[i].pattern, sizeof rules->rules[i].pattern, "%s#",
                 prefixes[i].prefix);
        rules->rules[i].profile = prefixes[i].profile;
    }
    rules->count = COUNT(prefixes);
}

enum fw_status profile_rules_prepend(struct profile_rules *rules, const char *pattern,
                                     enum profile profile, struct fw_error *err)
{
    const size_t len = strlen(pattern);
    if (len == 0 || len > PROFILE_PATTERN_MAX)
        return fw_fail(err, FW_EINVAL, "profile pattern of %zu bytes, expected 1 to %d", len,
                       PROFILE_PATTERN_MAX);
    if (profile >= PROFILE_COUNT)
        return fw_fail(err, FW_EINVAL, "profile pattern \"%s\" names no profile", pattern);
    if (rules->count == PROFILE_RULES_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d profile patterns", PROFILE_RULES_MAX);
    memmove(&rules->rules[1], &rules->rules[0], rules->count * sizeof rules->rules[0]);
    memcpy(rules->rules[0].pattern, pattern, len + 1);
    rules->rules[0].profile = profile;
    rules->count++;
    return FW_OK;
}

static void lower(const char *from, char *to, size_t size)
{
    size_t i = 0;
    for (; i + 1 < size && from[i] != '\0'; i++)
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
    to[i] = '\0';
}

static bool rule_matches(const char *pattern, const char *name)
{
    const size_t len = strlen(pattern);
    if (pattern[len - 1] != '#')
        return fw_glob_match(pattern, name);
    if (strncmp(pattern, name, len - 1) != 0)
        return false;
    const char next = name[len - 1];
    const char before = len >= 2 ? pattern[len - 2] : '\0';
    return next == '\0' || next == '-' || next == '_' || (next >= '0' && next <= '9') ||
           before == '-';
}

enum profile profile_resolve(const struct profile_rules *rules, const char *name)
{
    char folded[SERVER_NAME_MAX + 1], pattern[PROFILE_PATTERN_MAX + 1];
    lower(name, folded, sizeof folded);
    for (size_t i = 0; i < rules->count; i++) {
        lower(rules->rules[i].pattern, pattern, sizeof pattern);
        if (rule_matches(pattern, folded))
            return rules->rules[i].profile;
    }
    return PROFILE_GENERIC;
}

static const char *const statuses[STATUS_COUNT] = {
    [STATUS_UNKNOWN] = "unknown",
    [STATUS_HEALTHY] = "healthy",
    [STATUS_HEAVY_LOAD] = "heavy_load",
    [STATUS_CRITICAL_ISSUE] = "critical_issue",
    [STATUS_MAINTENANCE] = "maintenance",
    [STATUS_IDLE] = "idle",
    [STATUS_MORNING_SPIKE] = "morning_spike",
    [STATUS_OFFLINE] = "offline",
    [STATUS_RECOVERY] = "recovery",
};

const char *server_status_name(enum server_status status)
{
    return statuses[status < STATUS_COUNT ? status : STATUS_UNKNOWN];
}

enum server_status server_status_parse(const char *text, size_t len)
{
    for (int i = STATUS_HEALTHY; i < STATUS_COUNT; i++)
        if (equals(text, len, statuses[i]))
            return (enum server_status)i;
    return STATUS_UNKNOWN;
}
