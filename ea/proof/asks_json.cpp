// Asks the files that read and write JSON.
#include "asking.h"

#include "Json.mqh"
#include "JsonTokens.mqh"
#include "JsonValues.mqh"
#include "JsonWriter.mqh"
#include "Utf8.mqh"
#include "walk.h"

using namespace asking;

namespace {

std::string in_utf8(const string &text) {
    return written([&](Arr<uchar> &o) { CsUtf8(text, o); });
}

// The document in f, if it can be read; one is used again and again, as an Expert Advisor does.
std::string read(const Argument *bytes, const std::function<std::string(const CsJson &)> &f) {
    static CsJson doc;
    if (CsJsonRead(doc, bytes->bytes())) return f(doc);
    return doc.count == 0 && ArraySize(doc.text) == 0 ? "refused" : "refused, but left tokens behind";
}

std::string read_long(const CsJson &doc, const string &name) {
    long value = 4242;
    if (CsJsonLong(doc, 0, name, value)) return in_utf8(IntegerToString(value));
    return value == 4242 ? "refused" : "refused, but left a number behind";
}

std::string read_text(const CsJson &doc, const string &name) {
    string value = "before";
    if (CsJsonText(doc, 0, name, value)) return in_utf8(value);
    return value == "before" ? "refused" : "refused, but left a text behind";
}

std::string read_bool(const CsJson &doc, const string &name) {
    bool value = false;
    return CsJsonBool(doc, 0, name, value) ? told(value) : "refused";
}

std::string from_utf8(const Argument *bytes) {
    string text = "before";
    if (CsFromUtf8(bytes->bytes(), text)) return in_utf8(text);
    return StringLen(text) == 0 ? "refused" : "refused, but left a text behind";
}

const Answers ANSWERS = {
    {"rewritten", [](const Arguments &a) {
         return read(a[0], [](const CsJson &doc) { return in_utf8(walk::rewritten(doc, 0)); });
     }},
    {"tokens", [](const Arguments &a) {
         return read(a[0], [](const CsJson &doc) { return in_utf8(IntegerToString(doc.count)); });
     }},
    {"long", [](const Arguments &a) {
         return read(a[0], [&](const CsJson &doc) { return read_long(doc, a[1]->text()); });
     }},
    {"text", [](const Arguments &a) {
         return read(a[0], [&](const CsJson &doc) { return read_text(doc, a[1]->text()); });
     }},
    {"bool", [](const Arguments &a) {
         return read(a[0], [&](const CsJson &doc) { return read_bool(doc, a[1]->text()); });
     }},
    {"null", [](const Arguments &a) {
         return read(a[0], [&](const CsJson &doc) { return told(CsJsonIsNull(doc, 0, a[1]->text())); });
     }},
    {"quoted", [](const Arguments &a) { return in_utf8(CsJsonQuoted(a[0]->text())); }},
    {"from-utf8", [](const Arguments &a) { return from_utf8(a[0]); }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
