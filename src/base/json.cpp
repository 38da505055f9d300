#include "base/json.h"

#include "base/json_locate.h"

#include <cstring>
#include <new>
#include <simdjson.h>

using simdjson::dom::element;

/* Capacities are taken in pieces of 64 KiB, so that bodies of about one size share one. */
static size_t rounded(size_t bytes)
{
    return (bytes + 65536) / 65536 * 65536;
}

struct fw_json_parser {
    simdjson::dom::parser parser;
    size_t max_bytes;
    size_t max_depth;
    bool ready;
    /* simdjson's own limit is for rounded sizes; ours is checked before it is asked. */
    fw_json_parser(size_t bytes, size_t depth)
        : parser(rounded(bytes)), max_bytes(bytes), max_depth(depth), ready(false)
    {
    }
};

/* element and the two iterators are a document pointer and a tape index; fw_json_value is the same
 * two words for C. */
static_assert(sizeof(element) == sizeof(fw_json_value), "layout of simdjson's element");
static_assert(sizeof(simdjson::dom::array::iterator) == sizeof(fw_json_value),
              "layout of simdjson's iterator");
static_assert(sizeof(simdjson::dom::object::iterator) == sizeof(fw_json_value),
              "layout of simdjson's iterator");

template <typename To, typename From> static To recast(const From &from)
{
    To to;
    static_assert(sizeof to == sizeof from, "same size");
    std::memcpy(static_cast<void *>(&to), static_cast<const void *>(&from), sizeof to);
    return to;
}

static element to_element(fw_json_value value)
{
    return recast<element>(value);
}

/* The iterators have no default constructor, so they are copied into raw storage. */
template <typename Iterator> struct iterator_box {
    alignas(Iterator) unsigned char bytes[sizeof(Iterator)];
    explicit iterator_box(fw_json_value value)
    {
        std::memcpy(bytes, &value, sizeof bytes);
    }
    Iterator &get()
    {
        return *reinterpret_cast<Iterator *>(bytes);
    }
};

template <typename Iterator> static fw_json_value from_iterator(const Iterator &iterator)
{
    fw_json_value value;
    std::memcpy(&value, static_cast<const void *>(&iterator), sizeof value);
    return value;
}

extern "C" {

struct fw_json_parser *fw_json_parser_new(size_t max_bytes, size_t max_depth)
{
    return new (std::nothrow) fw_json_parser(max_bytes, max_depth);
}

void fw_json_parser_free(struct fw_json_parser *parser)
{
    delete parser;
}

static enum fw_status syntax_error(const struct fw_json_parser *parser, const char *data,
                                   size_t len, const char *reason, struct fw_error *err)
{
    size_t offset, line, column;
    const char *found;
    if (fw_json_locate(data, len, parser->max_depth, &offset, &found))
        return fw_fail(err, FW_EINVAL, "not valid JSON: %s", reason);
    fw_json_line_column(data, offset, &line, &column);
    return fw_fail_at(err, FW_EINVAL, offset, "not valid JSON at line %zu, column %zu: %s", line,
                      column, found);
}

enum fw_status fw_json_parse(struct fw_json_parser *parser, const char *data, size_t len,
                             struct fw_json_value *root, struct fw_error *err)
{
    if (len > parser->max_bytes)
        return fw_fail(err, FW_ELIMIT, "document of %zu bytes, limit %zu", len, parser->max_bytes);
    if (len == 0)
        return fw_fail(err, FW_EINVAL, "not valid JSON: empty document");
    if (!parser->ready || parser->parser.capacity() < len) {
        /* simdjson counts the level of a scalar within the innermost group, too. */
        if (parser->parser.allocate(rounded(len), parser->max_depth + 1) != simdjson::SUCCESS)
            return fw_fail(err, FW_ENOMEM, "parse %zu bytes of JSON", len);
        parser->ready = true;
    }
    element found;
    const auto code = parser->parser.parse(data, len, true).get(found);
    switch (code) {
    case simdjson::SUCCESS:
        *root = recast<fw_json_value>(found);
        return FW_OK;
    case simdjson::MEMALLOC:
        return fw_fail(err, FW_ENOMEM, "parse %zu bytes of JSON", len);
    case simdjson::DEPTH_ERROR:
        return fw_fail(err, FW_ELIMIT, "nested deeper than %zu", parser->max_depth);
    case simdjson::CAPACITY:
        return fw_fail(err, FW_ELIMIT, "document of %zu bytes, limit %zu", len, parser->max_bytes);
    default:
        return syntax_error(parser, data, len, simdjson::error_message(code), err);
    }
}

enum fw_json_type fw_json_type(struct fw_json_value value)
{
    switch (to_element(value).type()) {
    case simdjson::dom::element_type::ARRAY:
        return FW_JSON_ARRAY;
    case simdjson::dom::element_type::OBJECT:
        return FW_JSON_OBJECT;
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
    case simdjson::dom::element_type::DOUBLE:
        return FW_JSON_NUMBER;
    case simdjson::dom::element_type::STRING:
        return FW_JSON_STRING;
    case simdjson::dom::element_type::BOOL:
        return FW_JSON_BOOL;
    default:
        return FW_JSON_NULL;
    }
}

const char *fw_json_type_name(enum fw_json_type type)
{
    static const char *const names[] = {"null", "bool", "number", "string", "array", "object"};
    return names[type];
}

bool fw_json_bool(struct fw_json_value value, bool *out)
{
    return to_element(value).get_bool().get(*out) == simdjson::SUCCESS;
}

bool fw_json_number(struct fw_json_value value, double *out)
{
    return to_element(value).get_double().get(*out) == simdjson::SUCCESS;
}

bool fw_json_int64(struct fw_json_value value, int64_t *out)
{
    int64_t found;
    if (to_element(value).type() == simdjson::dom::element_type::DOUBLE ||
        to_element(value).get_int64().get(found) != simdjson::SUCCESS)
        return false;
    *out = found;
    return true;
}

const char *fw_json_string(struct fw_json_value value, size_t *len)
{
    std::string_view text;
    if (to_element(value).get_string().get(text) != simdjson::SUCCESS)
        return NULL;
    *len = text.size();
    return text.data();
}

size_t fw_json_count(struct fw_json_value value)
{
    const element e = to_element(value);
    if (e.is_array())
        return simdjson::dom::array(e.get_array().value_unsafe()).size();
    if (e.is_object())
        return simdjson::dom::object(e.get_object().value_unsafe()).size();
    return 0;
}

struct fw_json_iter fw_json_walk(struct fw_json_value value)
{
    struct fw_json_iter iter = {value, value, false};
    const element e = to_element(value);
    if (e.is_array()) {
        const simdjson::dom::array array = e.get_array().value_unsafe();
        iter.here = from_iterator(array.begin());
        iter.end = from_iterator(array.end());
    } else if (e.is_object()) {
        const simdjson::dom::object object = e.get_object().value_unsafe();
        iter.here = from_iterator(object.begin());
        iter.end = from_iterator(object.end());
        iter.object = true;
    }
    return iter;
}

bool fw_json_next(struct fw_json_iter *iter, struct fw_json_value *value)
{
    if (iter->here.at == iter->end.at)
        return false;
    if (iter->object) {
        iterator_box<simdjson::dom::object::iterator> box(iter->here);
        *value = recast<fw_json_value>(box.get().value());
        ++box.get();
        iter->here = from_iterator(box.get());
    } else {
        iterator_box<simdjson::dom::array::iterator> box(iter->here);
        *value = recast<fw_json_value>(*box.get());
        ++box.get();
        iter->here = from_iterator(box.get());
    }
    return true;
}

bool fw_json_next_member(struct fw_json_iter *iter, const char **key, size_t *key_len,
                         struct fw_json_value *value)
{
    if (!iter->object || iter->here.at == iter->end.at)
        return false;
    iterator_box<simdjson::dom::object::iterator> box(iter->here);
    const std::string_view name = box.get().key();
    *key = name.data();
    *key_len = name.size();
    return fw_json_next(iter, value);
}

bool fw_json_get(struct fw_json_value object, const char *key, struct fw_json_value *value)
{
    const element e = to_element(object);
    element found;
    if (!e.is_object() || e.get_object().value_unsafe().at_key(key).get(found) != simdjson::SUCCESS)
        return false;
    *value = recast<fw_json_value>(found);
    return true;
}

} /* extern "C" */
