// Asks the file that seals and opens envelopes.
#include "asking.h"

#include "Envelope.mqh"

using namespace asking;

namespace {

// Both keys, one after the other.
std::string keys(const Arguments &a) {
    Used up, down, both;
    const bool good = CsEnvelopeKeys(a[0]->bytes(), a[1]->text(), up.bytes, down.bytes);
    ArrayResize(both.bytes, 0);
    ArrayCopy(both.bytes, up.bytes);
    ArrayCopy(both.bytes, down.bytes, ArraySize(both.bytes));
    return both.told(good);
}

// Of many answers to one request, a byte each: 01 opened, 00 refused, ff refused with bytes left behind.
std::string opened_of(const Arguments &a) {
    Arr<uchar> verdicts;
    for (std::size_t i = 4; i < a.size(); i++) {
        Used out;
        const bool good =
            CsOpenAnswer(a[0]->bytes(), a[1]->text(), a[2]->number(), a[3]->text(), a[i]->bytes(), out.bytes);
        ArrayResize(verdicts, ArraySize(verdicts) + 1);
        verdicts[verdicts.size() - 1] = good ? 1 : out.bytes.size() == 0 ? 0 : 255;
    }
    return hex_of(verdicts);
}

const Answers ANSWERS = {
    {"envelope-query", [](const Arguments &a) { return ascii_of(CsEnvelopeQuery(a[0]->number())); }},
    {"envelope-keys", keys},
    {"opened-of", opened_of},
    {"seal-request",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsSealRequest(a[0]->bytes(), a[1]->text(), a[2]->number(), a[3]->text(), a[4]->bytes(), o);
         });
     }},
    {"open-answer",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsOpenAnswer(a[0]->bytes(), a[1]->text(), a[2]->number(), a[3]->text(), a[4]->bytes(), o);
         });
     }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
