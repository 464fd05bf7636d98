/* msgpack: how long a value is, and records as JSON. Written for clarity; nothing here is shared
 * with the library under test. */
#include <inttypes.h>
#include <string.h>

#include "host.h"

#define MAX_DEPTH 512

static uint64_t big_endian(const uint8_t *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | data[i];
    }
    return value;
}

enum type { NIL, FALSE_VALUE, TRUE_VALUE, UNSIGNED, SIGNED, FLOAT32, FLOAT64, STRING, BINARY, EXTENSION, ARRAY, MAP };

/* One value's head: `body` is where its bytes or its first member start, `count` how many. */
struct head {
    enum type type;
    uint64_t number;
    size_t body;
    size_t count;
    int8_t extension;
};

/* Reads a head with `length_bytes` of length behind the marker. */
static bool sized(struct head *head, enum type type, const uint8_t *data, size_t size, size_t at,
                  size_t length_bytes)
{
    if (size - at < 1 + length_bytes) {
        return false;
    }
    head->type = type;
    head->count = (size_t) big_endian(data + at + 1, length_bytes);
    head->body = at + 1 + length_bytes;
    return true;
}

static bool number(struct head *head, enum type type, const uint8_t *data, size_t size, size_t at,
                   size_t bytes)
{
    if (size - at < 1 + bytes) {
        return false;
    }
    head->type = type;
    head->number = big_endian(data + at + 1, bytes);
    if (type == SIGNED && bytes < 8) {
        uint64_t sign = (uint64_t) 1 << (bytes * 8 - 1);
        head->number = (head->number ^ sign) - sign;
    }
    head->body = at + 1 + bytes;
    head->count = 0;
    return true;
}

static bool extension(struct head *head, const uint8_t *data, size_t size, size_t at, size_t length_bytes,
                      size_t fixed)
{
    if (size - at < 2 + length_bytes) {
        return false;
    }
    head->type = EXTENSION;
    head->count = length_bytes ? (size_t) big_endian(data + at + 1, length_bytes) : fixed;
    head->extension = (int8_t) data[at + 1 + length_bytes];
    head->body = at + 2 + length_bytes;
    return true;
}

static bool read_head(const uint8_t *data, size_t size, size_t at, struct head *head)
{
    uint8_t marker;
    if (at >= size) {
        return false;
    }
    marker = data[at];
    head->body = at + 1;
    head->count = 0;
    head->number = 0;
    if (marker <= 0x7f) {
        head->type = UNSIGNED;
        head->number = marker;
        return true;
    }
    if (marker >= 0xe0) {
        head->type = SIGNED;
        head->number = (uint64_t) (int64_t) (int8_t) marker;
        return true;
    }
    if (marker <= 0x8f) {
        head->type = MAP;
        head->count = marker & 0x0f;
        return true;
    }
    if (marker <= 0x9f) {
        head->type = ARRAY;
        head->count = marker & 0x0f;
        return true;
    }
    if (marker <= 0xbf) {
        head->type = STRING;
        head->count = marker & 0x1f;
        return true;
    }
    switch (marker) {
    case 0xc0: head->type = NIL; return true;
    case 0xc2: head->type = FALSE_VALUE; return true;
    case 0xc3: head->type = TRUE_VALUE; return true;
    case 0xc4: return sized(head, BINARY, data, size, at, 1);
    case 0xc5: return sized(head, BINARY, data, size, at, 2);
    case 0xc6: return sized(head, BINARY, data, size, at, 4);
    case 0xc7: return extension(head, data, size, at, 1, 0);
    case 0xc8: return extension(head, data, size, at, 2, 0);
    case 0xc9: return extension(head, data, size, at, 4, 0);
    case 0xca: return number(head, FLOAT32, data, size, at, 4);
    case 0xcb: return number(head, FLOAT64, data, size, at, 8);
    case 0xcc: return number(head, UNSIGNED, data, size, at, 1);
    case 0xcd: return number(head, UNSIGNED, data, size, at, 2);
    case 0xce: return number(head, UNSIGNED, data, size, at, 4);
    case 0xcf: return number(head, UNSIGNED, data, size, at, 8);
    case 0xd0: return number(head, SIGNED, data, size, at, 1);
    case 0xd1: return number(head, SIGNED, data, size, at, 2);
    case 0xd2: return number(head, SIGNED, data, size, at, 4);
    case 0xd3: return number(head, SIGNED, data, size, at, 8);
    case 0xd4: return extension(head, data, size, at, 0, 1);
    case 0xd5: return extension(head, data, size, at, 0, 2);
    case 0xd6: return extension(head, data, size, at, 0, 4);
    case 0xd7: return extension(head, data, size, at, 0, 8);
    case 0xd8: return extension(head, data, size, at, 0, 16);
    case 0xd9: return sized(head, STRING, data, size, at, 1);
    case 0xda: return sized(head, STRING, data, size, at, 2);
    case 0xdb: return sized(head, STRING, data, size, at, 4);
    case 0xdc: return sized(head, ARRAY, data, size, at, 2);
    case 0xdd: return sized(head, ARRAY, data, size, at, 4);
    case 0xde: return sized(head, MAP, data, size, at, 2);
    case 0xdf: return sized(head, MAP, data, size, at, 4);
    default: return false;
    }
}

static bool skip(const uint8_t *data, size_t size, size_t *at, int depth)
{
    struct head head;
    if (depth > MAX_DEPTH || !read_head(data, size, *at, &head)) {
        return false;
    }
    *at = head.body;
    switch (head.type) {
    case STRING:
    case BINARY:
    case EXTENSION:
        if (size - head.body < head.count) {
            return false;
        }
        *at += head.count;
        return true;
    case MAP:
        for (size_t i = 0; i < head.count; i++) {
            if (!skip(data, size, at, depth + 1) || !skip(data, size, at, depth + 1)) {
                return false;
            }
        }
        return true;
    case ARRAY:
        for (size_t i = 0; i < head.count; i++) {
            if (!skip(data, size, at, depth + 1)) {
                return false;
            }
        }
        return true;
    default:
        return true;
    }
}

/* Moves `at` behind the next value; false: truncated or not msgpack. */
bool msgpack_next(const uint8_t *data, size_t size, size_t *at)
{
    return skip(data, size, at, 0);
}

/* How many values there are, and whether the buffer ends with the last one. */
size_t msgpack_count(const uint8_t *data, size_t size, bool *whole)
{
    size_t at = 0;
    size_t count = 0;
    while (at < size && msgpack_next(data, size, &at)) {
        count++;
    }
    *whole = at == size;
    return count;
}

static void print_text(FILE *file, const uint8_t *text, size_t length)
{
    fputc('"', file);
    for (size_t i = 0; i < length; i++) {
        uint8_t c = text[i];
        if (c == '"' || c == '\\') {
            fprintf(file, "\\%c", c);
        }
        else if (c == '\n') {
            fputs("\\n", file);
        }
        else if (c == '\t') {
            fputs("\\t", file);
        }
        else if (c == '\r') {
            fputs("\\r", file);
        }
        else if (c < 0x20) {
            fprintf(file, "\\u%04x", c);
        }
        else {
            fputc(c, file);
        }
    }
    fputc('"', file);
}

static size_t print_value(FILE *file, const uint8_t *data, size_t size, size_t at);

/* The members of a map, without its braces. */
static size_t print_members(FILE *file, const uint8_t *data, size_t size, size_t at, size_t count, bool first)
{
    for (size_t i = 0; i < count; i++) {
        struct head key;
        if (!first) {
            fputc(',', file);
        }
        first = false;
        if (read_head(data, size, at, &key) && key.type == STRING) {
            at = print_value(file, data, size, at);
        }
        else {
            fputc('"', file);
            at = print_value(file, data, size, at);
            fputc('"', file);
        }
        fputc(':', file);
        at = print_value(file, data, size, at);
    }
    return at;
}

static void print_double(FILE *file, double value)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", value);
    fputs(text, file);
    if (strpbrk(text, ".en") == NULL) {
        fputs(".0", file);
    }
}

static size_t print_value(FILE *file, const uint8_t *data, size_t size, size_t at)
{
    struct head head;
    if (!read_head(data, size, at, &head)) {
        fail("print of broken msgpack");
    }
    switch (head.type) {
    case NIL: fputs("null", file); break;
    case FALSE_VALUE: fputs("false", file); break;
    case TRUE_VALUE: fputs("true", file); break;
    case UNSIGNED: fprintf(file, "%" PRIu64, head.number); break;
    case SIGNED: fprintf(file, "%" PRId64, (int64_t) head.number); break;
    case FLOAT32: {
        uint32_t bits = (uint32_t) head.number;
        float value;
        memcpy(&value, &bits, sizeof value);
        print_double(file, value);
        break;
    }
    case FLOAT64: {
        double value;
        memcpy(&value, &head.number, sizeof value);
        print_double(file, value);
        break;
    }
    case STRING:
        print_text(file, data + head.body, head.count);
        return head.body + head.count;
    case BINARY:
    case EXTENSION:
        fputc('"', file);
        for (size_t i = 0; i < head.count; i++) {
            fprintf(file, "%02x", data[head.body + i]);
        }
        fputc('"', file);
        return head.body + head.count;
    case ARRAY:
        at = head.body;
        fputc('[', file);
        for (size_t i = 0; i < head.count; i++) {
            if (i > 0) {
                fputc(',', file);
            }
            at = print_value(file, data, size, at);
        }
        fputc(']', file);
        return at;
    case MAP:
        fputc('{', file);
        at = print_members(file, data, size, head.body, head.count, true);
        fputc('}', file);
        return at;
    }
    return head.body;
}

static double record_time(const uint8_t *data, const struct head *head)
{
    if (head->type == EXTENSION && head->count == 8) {
        return (double) big_endian(data + head->body, 4) + (double) big_endian(data + head->body + 4, 4) / 1e9;
    }
    if (head->type == FLOAT64) {
        double value;
        memcpy(&value, &head->number, sizeof value);
        return value;
    }
    return (double) head->number;
}

/* One line per record: {"tag":…,"time":…,"record":{…}}, or as Fluent Bit's json_lines:
 * {"date":…, the record's members}. What is no record is reported on stderr, not printed. */
void print_records(FILE *file, const char *tag, const uint8_t *data, size_t size, bool json_lines)
{
    size_t at = 0;
    while (at < size) {
        struct head outer, header, body;
        size_t end = at;
        size_t inner;
        double time;
        if (!msgpack_next(data, size, &end)) {
            fprintf(stderr, "testhost: %s: %zu bytes that are not msgpack\n", tag, size - at);
            return;
        }
        if (!read_head(data, size, at, &outer) || outer.type != ARRAY || outer.count != 2 ||
            !read_head(data, size, outer.body, &header)) {
            fprintf(stderr, "testhost: %s: a value that is no record\n", tag);
            at = end;
            continue;
        }
        if (header.type == ARRAY && header.count > 0) {
            read_head(data, size, header.body, &header);
        }
        time = record_time(data, &header);
        inner = outer.body;
        msgpack_next(data, size, &inner);
        if (!read_head(data, size, inner, &body) || body.type != MAP || time >= 4294967294.0) {
            at = end;
            continue;
        }
        if (json_lines) {
            fprintf(file, "{\"date\":%.6f", time);
            print_members(file, data, size, body.body, body.count, false);
            fputs("}\n", file);
        }
        else {
            fputs("{\"tag\":", file);
            print_text(file, (const uint8_t *) tag, strlen(tag));
            fprintf(file, ",\"time\":%.9f,\"record\":", time);
            print_value(file, data, size, inner);
            fputs("}\n", file);
        }
        at = end;
    }
    fflush(file);
}
