/* cctz keeps every name that it was ever asked for, so only files that are there get as far. */
#include "base/zone.h"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <unordered_map>

struct fw_zone {
    std::string name;
    cctz::time_zone rules;
};

static constexpr int64_t second_ms = 1000;

/* Never destroyed: threads may use a zone while the process exits. */
struct zone_table {
    std::mutex lock;
    std::unordered_map<std::string, fw_zone> zones; /* members stay where they are */
};

static zone_table &table()
{
    static zone_table *const only = new zone_table;
    return *only;
}

static bool is_regular(const std::string &path)
{
    struct stat found;
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

/* The directory that cctz reads. */
static std::string directory()
{
    const char *chosen = std::getenv("TZDIR");
    return chosen != nullptr && chosen[0] != '\0' ? chosen : "/usr/share/zoneinfo";
}

/* May throw std::bad_alloc. */
static enum fw_status find(const std::string &name, const fw_zone **out, struct fw_error *err)
{
    zone_table &known = table();
    const std::lock_guard<std::mutex> guard(known.lock);
    const auto at = known.zones.find(name);
    if (at != known.zones.end()) {
        *out = &at->second;
        return FW_OK;
    }
    const std::string from = directory();
    if (!is_regular(from + '/' + name))
        return fw_fail(err, FW_ENOTFOUND, "no time zone %s in %s", name.c_str(), from.c_str());
    if (known.zones.size() >= FW_ZONES_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d time zones were asked for", FW_ZONES_MAX);
    fw_zone read = {name, {}};
    if (!cctz::load_time_zone(name, &read.rules))
        return fw_fail(err, FW_ECORRUPT, "%s/%s cannot be read as a time zone", from.c_str(),
                       name.c_str());
    *out = &known.zones.emplace(name, read).first->second;
    return FW_OK;
}

static int64_t whole_seconds(int64_t ms)
{
    return ms / second_ms - (ms % second_ms < 0);
}

static bool fits_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-';
}

extern "C" {

bool fw_zone_name_valid(const char *name)
{
    const size_t len = strnlen(name, FW_ZONE_NAME_MAX + 1);
    char before = '/';
    if (len > FW_ZONE_NAME_MAX || std::strncmp(name, "posix/", 6) == 0 ||
        std::strncmp(name, "right/", 6) == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '/' ? before == '/' : !fits_name(name[i]))
            return false;
        before = name[i];
    }
    return before != '/';
}

enum fw_status fw_zone_find(const char *name, const struct fw_zone **out, struct fw_error *err)
{
    *out = nullptr;
    if (!fw_zone_name_valid(name))
        return fw_fail(err, FW_EINVAL, "not the name of a time zone, for instance Europe/Berlin");
    try {
        return find(name, out, err);
    } catch (const std::exception &) {
        return fw_fail(err, FW_ENOMEM, "read time zone %s", name);
    }
}

const char *fw_zone_name(const struct fw_zone *zone)
{
    return zone->name.c_str();
}

int64_t fw_zone_offset_ms(const struct fw_zone *zone, int64_t utc_ms)
{
    const cctz::time_point<cctz::seconds> moment(cctz::seconds(whole_seconds(utc_ms)));
    return zone->rules.lookup(moment).offset * second_ms;
}

int64_t fw_zone_to_utc_ms(const struct fw_zone *zone, int64_t local_ms)
{
    const int64_t seconds = whole_seconds(local_ms);
    const auto found = zone->rules.lookup(cctz::civil_second() + seconds);
    const bool skipped = found.kind == cctz::time_zone::civil_lookup::SKIPPED;
    const int64_t utc_s = (skipped ? found.trans : found.pre).time_since_epoch().count();
    return utc_s * second_ms + (skipped ? 0 : local_ms - seconds * second_ms);
}
}
