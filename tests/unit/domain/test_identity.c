/* Names, ids and profiles as the reference has them (API contract, 13.4 and 17). */
#include "support.h"

#include "domain/identity.h"

static void test_server_ids(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t id;
    } rows[] = {
        {"ppdb001",                215733},
        {"ppml0001",               921211},
        {"ppweb001",               305220},
        {"ppcon01",                285039},
        {"ppvra00a0018",           6509  },
        {"web-1",                  779578},
        {"node1:9100",             120317},
        {"db-primary.example.com", 759012},
        {"Server-\xc3\x84",        231900},
        {"",                       12610 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, server_id(rows[i].name, strlen(rows[i].name)), rows[i].id);
}

static void test_profiles_by_rule(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum profile profile;
    } rows[] = {
        {"ppml0001",      PROFILE_ML_COMPUTE    },
        {"ppgpu7",        PROFILE_ML_COMPUTE    },
        {"CPTRAIN12",     PROFILE_ML_COMPUTE    },
        {"ml-node-3",     PROFILE_ML_COMPUTE    },
        {"ml-node-a",     PROFILE_ML_COMPUTE    },
        {"ppdb001",       PROFILE_DATABASE      },
        {"psdb9",         PROFILE_DATABASE      },
        {"oracle-1",      PROFILE_DATABASE      },
        {"mongo2",        PROFILE_DATABASE      },
        {"Postgres_main", PROFILE_DATABASE      },
        {"mysql",         PROFILE_DATABASE      },
        {"ppweb001",      PROFILE_WEB_API       },
        {"ppapi01",       PROFILE_WEB_API       },
        {"nginx-3",       PROFILE_WEB_API       },
        {"tomcat8",       PROFILE_WEB_API       },
        {"api-server-1",  PROFILE_WEB_API       },
        {"ppcon01",       PROFILE_CONDUCTOR_MGMT},
        {"ppcond01",      PROFILE_CONDUCTOR_MGMT},
        {"conductor1",    PROFILE_CONDUCTOR_MGMT},
        {"egomgmt2",      PROFILE_CONDUCTOR_MGMT},
        {"maestro3",      PROFILE_CONDUCTOR_MGMT},
        {"ppetl001",      PROFILE_DATA_INGEST   },
        {"ppkafka1",      PROFILE_DATA_INGEST   },
        {"stream1",       PROFILE_DATA_INGEST   },
        {"spark22",       PROFILE_DATA_INGEST   },
        {"flink-a",       PROFILE_DATA_INGEST   },
        {"pprisk001",     PROFILE_RISK_ANALYTICS},
        {"varrisk1",      PROFILE_RISK_ANALYTICS},
        {"credit1",       PROFILE_RISK_ANALYTICS},
        {"quant1",        PROFILE_RISK_ANALYTICS},
        {"ppgen001",      PROFILE_GENERIC       },
        {"creditcard",    PROFILE_GENERIC       },
        {"streaming-1",   PROFILE_GENERIC       },
        {"xppdb001",      PROFILE_GENERIC       },
        {"web-1",         PROFILE_GENERIC       },
    };
    static struct profile_rules rules;
    profile_rules_default(&rules);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, profile_resolve(&rules, rows[i].name), rows[i].profile);
}

static void test_own_rules(void **state)
{
    (void)state;
    static struct profile_rules rules;
    struct fw_error err;
    char pattern[PROFILE_PATTERN_MAX + 2];
    profile_rules_default(&rules);
    assert_int_equal(profile_rules_prepend(&rules, "ppdb*", PROFILE_GENERIC, &err), FW_OK);
    assert_int_equal(profile_rules_prepend(&rules, "*-DB-?", PROFILE_DATABASE, &err), FW_OK);
    assert_int_equal(profile_resolve(&rules, "ppdb001"), PROFILE_GENERIC);
    assert_int_equal(profile_resolve(&rules, "eu-db-1"), PROFILE_DATABASE);
    assert_int_equal(profile_resolve(&rules, "eu-db-10"), PROFILE_GENERIC);
    assert_int_equal(profile_resolve(&rules, "psdb1"), PROFILE_DATABASE);
    assert_int_equal(profile_rules_prepend(&rules, "", PROFILE_GENERIC, &err), FW_EINVAL);
    assert_int_equal(profile_rules_prepend(&rules, "x", PROFILE_UNKNOWN, &err), FW_EINVAL);
    memset(pattern, 'p', sizeof pattern);
    pattern[PROFILE_PATTERN_MAX + 1] = '\0';
    assert_int_equal(profile_rules_prepend(&rules, pattern, PROFILE_GENERIC, &err), FW_EINVAL);
    pattern[PROFILE_PATTERN_MAX] = '\0';
    while (rules.count < PROFILE_RULES_MAX)
        assert_int_equal(profile_rules_prepend(&rules, pattern, PROFILE_GENERIC, &err), FW_OK);
    assert_int_equal(profile_rules_prepend(&rules, "x", PROFILE_GENERIC, &err), FW_ELIMIT);
    assert_int_equal(profile_resolve(&rules, "psdb1"), PROFILE_DATABASE);
}

static void test_words(void **state)
{
    (void)state;
    static const char *const display[] = {"Generic",       "ML Compute",     "Database",
                                          "Web API",       "Conductor Mgmt", "ETL/Ingest",
                                          "Risk Analytics"};
    for (int i = 0; i < PROFILE_COUNT; i++) {
        const char *name = profile_name((enum profile)i);
        CHECK_EQ(name, profile_parse(name, strlen(name)), i);
        CHECK_STR(name, profile_display((enum profile)i), display[i]);
    }
    assert_string_equal(profile_name(PROFILE_UNKNOWN), "generic");
    assert_string_equal(profile_display(PROFILE_UNKNOWN), "Generic");
    assert_int_equal(profile_parse("Database", 8), PROFILE_UNKNOWN);
    assert_int_equal(profile_parse("databases", 9), PROFILE_UNKNOWN);
    static const char *const statuses[] = {"healthy",     "heavy_load", "critical_issue",
                                           "maintenance", "idle",       "morning_spike",
                                           "offline",     "recovery"};
    for (int i = 0; i < (int)COUNT_OF(statuses); i++) {
        CHECK_EQ(statuses[i], server_status_parse(statuses[i], strlen(statuses[i])), i + 1);
        CHECK_STR(statuses[i], server_status_name((enum server_status)(i + 1)), statuses[i]);
    }
    assert_int_equal(server_status_parse("unknown", 7), STATUS_UNKNOWN);
    assert_int_equal(server_status_parse("HEALTHY", 7), STATUS_UNKNOWN);
    assert_int_equal(server_status_parse("", 0), STATUS_UNKNOWN);
}

static void test_names(void **state)
{
    (void)state;
    char name[SERVER_NAME_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_true(server_name_valid(name, SERVER_NAME_MAX));
    assert_false(server_name_valid(name, SERVER_NAME_MAX + 1));
    assert_false(server_name_valid(name, 0));
    assert_true(server_name_valid("<script>", 8)); /* printing it safely is the printer's part */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_ids), cmocka_unit_test(test_profiles_by_rule),
        cmocka_unit_test(test_own_rules),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("domain identity", tests, NULL, NULL);
}
