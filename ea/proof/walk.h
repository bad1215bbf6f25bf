// A JSON text written anew from what the MQL5 files say is in it: what others read there has to be the same.
#ifndef COUNTERSIGN_PROOF_WALK_H
#define COUNTERSIGN_PROOF_WALK_H

#include "mql.h"

#include "Json.mqh"
#include "JsonValues.mqh"
#include "JsonWriter.mqh"

namespace walk {

inline string rewritten(const CsJson &doc, int token);

// The bytes of a token as they stand there; numbers and words are ASCII.
inline string raw(const CsJson &doc, int token) {
    std::u16string units;
    for (int i = doc.from[token]; i < doc.until[token]; i++) units += static_cast<char16_t>(doc.text[i]);
    return string(units);
}

inline string members(const CsJson &doc, int object) {
    string inside = "";
    for (int name = object + 1; name < doc.after[object]; name = doc.after[name + 1]) {
        string text;
        // A name is a string to whoever reads it as one.
        int place = doc.from[name];
        while (place < doc.until[name]) text += CsPointText(CsJsonPoint(doc, place));
        if (CsJsonMember(doc, object, text) != name + 1) throw std::logic_error("a member is not found by its name");
        CsJsonAdd(inside, text, rewritten(doc, name + 1));
    }
    return inside;
}

inline string elements(const CsJson &doc, int array) {
    string inside = "";
    for (int one = CsJsonFirst(doc, array); one >= 0; one = CsJsonNext(doc, array, one))
        CsJsonPut(inside, rewritten(doc, one));
    return inside;
}

inline string rewritten(const CsJson &doc, int token) {
    string text;
    if (doc.kind[token] == CS_JSON_OBJECT) return string("{") + members(doc, token) + "}";
    if (doc.kind[token] == CS_JSON_ARRAY) return string("[") + elements(doc, token) + "]";
    if (CsJsonTextOf(doc, token, text)) return CsJsonQuoted(text);
    return raw(doc, token);
}

}  // namespace walk

#endif
