// Asks the translated files one question a line and prints one answer a line.
#include "asking.h"

#include "Bytes.mqh"
#include "ChaCha20Poly1305.mqh"
#include "Hkdf.mqh"
#include "Hmac.mqh"
#include "Poly1305.mqh"
#include "Sha256.mqh"
#include "Signing.mqh"

using namespace asking;

namespace {

std::string sha256_in_parts(const Arr<uchar> &bytes, long part) {
    CsSha256State state;
    Used digest;
    CsSha256Begin(state);
    for (long from = 0; from < bytes.size(); from += part) {
        Arr<uchar> some;
        const long rest = bytes.size() - from;
        ArrayCopy(some, bytes, 0, static_cast<int>(from), static_cast<int>(rest < part ? rest : part));
        CsSha256Add(state, some);
    }
    CsSha256End(state, digest.bytes);
    return digest.told();
}

std::string chacha20(const Arguments &a) {
    Used out;
    ArrayResize(out.bytes, ArraySize(a[3]->bytes()));
    CsChaCha20(a[0]->bytes(), static_cast<uint>(a[1]->number()), a[2]->bytes(), a[3]->bytes(),
               ArraySize(a[3]->bytes()), out.bytes);
    return out.told();
}

const Answers ANSWERS = {
    {"utf8", [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsUtf8(a[0]->text(), o); }); }},
    {"to-hex", [](const Arguments &a) { return ascii_of(CsToHex(a[0]->bytes())); }},
    {"from-hex", [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsFromHex(a[0]->text(), o); }); }},
    {"from-base64url",
     [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsFromBase64Url(a[0]->text(), o); }); }},
    {"same", [](const Arguments &a) { return told(CsSameBytes(a[0]->bytes(), a[1]->bytes())); }},
    {"sha256", [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsSha256(a[0]->bytes(), o); }); }},
    {"sha256-parts", [](const Arguments &a) { return sha256_in_parts(a[0]->bytes(), a[1]->number()); }},
    {"hmac",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) { CsHmacSha256(a[0]->bytes(), a[1]->bytes(), o); });
     }},
    {"hkdf",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsHkdfSha256(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), static_cast<int>(a[3]->number()), o);
         });
     }},
    {"chacha20", chacha20},
    {"poly1305",
     [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsPoly1305(a[0]->bytes(), a[1]->bytes(), o); }); }},
    {"seal",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsSeal(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), a[3]->bytes(), o);
         });
     }},
    {"open",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsOpen(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), a[3]->bytes(), o);
         });
     }},
    {"read-secret",
     [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsReadSecret(a[0]->text(), o); }); }},
    {"canonical-request",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) {
             CsUtf8(CsCanonicalRequest(a[0]->text(), a[1]->text(), a[2]->number(), a[3]->text(), a[4]->bytes()), o);
         });
     }},
    {"canonical-answer",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) {
             CsUtf8(CsCanonicalAnswer(static_cast<int>(a[0]->number()), a[1]->text(), a[2]->bytes()), o);
         });
     }},
    {"sign-request",
     [](const Arguments &a) {
         return ascii_of(CsSignRequest(a[0]->bytes(), a[1]->text(), a[2]->text(), a[3]->number(), a[4]->text(),
                                       a[5]->bytes()));
     }},
    {"genuine",
     [](const Arguments &a) { return told(CsIsGenuine(a[0]->bytes(), a[1]->text(), a[2]->text())); }},
    {"genuine-answer",
     [](const Arguments &a) {
         return told(CsIsGenuineAnswer(a[0]->bytes(), static_cast<int>(a[1]->number()), a[2]->text(), a[3]->bytes(),
                                       a[4]->text()));
     }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
