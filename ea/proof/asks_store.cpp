// Asks the files that keep things on the disk, and those that read what the network says before JSON does.
#include "asking.h"
#include "terminal.h"

#include "Counters.mqh"
#include "Credentials.mqh"
#include "Headers.mqh"
#include "Ledger.mqh"
#include "Record.mqh"
#include "Store.mqh"

using namespace asking;

namespace {

std::string in_utf8(const string &text) {
    return written([&](Arr<uchar> &o) { CsUtf8(text, o); });
}

CsStored the_stored;
CsCounters the_counters;
CsCredentials the_credentials;
CsLedger the_ledger;

// What reading came to, then what was read.
std::string read(const string &name) {
    Arr<uchar> content;
    const int status = CsStoreRead(the_stored, name, content);
    return in_utf8(IntegerToString(status) + " " + IntegerToString(the_stored.generation) + " " + CsToHex(content));
}

CsRecord record_of(const Arguments &a) {
    CsRecord record;
    CsRecordClear(record);
    record.magic = a[0]->number();
    record.seq = a[1]->number();
    record.state = static_cast<int>(a[2]->number());
    record.reached = static_cast<int>(a[3]->number());
    record.order_id = IntegerToString(record.magic);
    record.volume = 0.25;
    record.error = a[4]->text();
    return record;
}

std::string told_record(const CsRecord &r) {
    return in_utf8(r.order_id + "|" + IntegerToString(r.seq) + "|" + IntegerToString(r.state) + "|" +
                   IntegerToString(r.reached) + "|" + IntegerToString(r.told) + "|" + CsShortText(r.volume) + "|" +
                   r.error + "|" + IntegerToString(CsOwed(r)));
}

std::string find(long magic) {
    const int place = CsLedgerFind(the_ledger, magic);
    if (place >= 0) return told_record(the_ledger.open[place]);
    return in_utf8(CsLedgerRemembers(the_ledger, magic) ? "remembered" : "unknown");
}

std::string tell(const Arguments &a) {
    const int place = CsLedgerFind(the_ledger, a[0]->number());
    CsLedgerTold(the_ledger, place, static_cast<int>(a[1]->number()));
    return told(CsLedgerWrite(the_ledger));
}

const Answers ANSWERS = {
    {"read", [](const Arguments &a) { return read(a[0]->text()); }},
    {"write", [](const Arguments &a) { return told(CsStoreWrite(the_stored, a[0]->bytes())); }},
    {"counters", [](const Arguments &a) {
         const int status = CsCountersStart(the_counters, a[0]->text());
         return in_utf8(IntegerToString(status) + " " + IntegerToString(the_counters.boot));
     }},
    {"nonce", [](const Arguments &a) { return in_utf8(CsNextNonce(the_counters, a[0]->number())); }},
    {"counter", [](const Arguments &a) {
         return in_utf8(IntegerToString(CsNextCounter(the_counters, a[0]->number())));
     }},
    {"raise", [](const Arguments &a) { return CsRaiseCounter(the_counters, a[0]->number()), told(true); }},
    {"credentials", [](const Arguments &a) {
         const int status = CsCredentialsStart(the_credentials, a[0]->text());
         return in_utf8(IntegerToString(status) + " " + the_credentials.device_id + " " +
                        CsToHex(the_credentials.secret));
     }},
    {"keep", [](const Arguments &a) {
         return told(CsKeepCredentials(the_credentials, a[0]->text(), a[1]->text(), a[2]->text()));
     }},
    {"code", [](const Arguments &a) { return in_utf8(CsReadCode(a[0]->text())); }},
    {"ledger", [](const Arguments &a) {
         const int status = CsLedgerStart(the_ledger, a[0]->text());
         return in_utf8(IntegerToString(status) + " " + IntegerToString(the_ledger.count) + " " +
                        IntegerToString(the_ledger.ring_count) + " " + IntegerToString(the_ledger.floor_seq));
     }},
    {"add", [](const Arguments &a) {
         const int place = CsLedgerAdd(the_ledger, record_of(a));
         return told(place >= 0 && CsLedgerWrite(the_ledger));
     }},
    {"remember", [](const Arguments &a) {
         return CsLedgerRemember(the_ledger, a[0]->number(), a[1]->number()), told(true);
     }},
    {"keep-ledger", [](const Arguments &) { return told(CsLedgerWrite(the_ledger)); }},
    {"tell", tell},
    {"find", [](const Arguments &a) { return find(a[0]->number()); }},
    {"header", [](const Arguments &a) { return in_utf8(CsHeader(a[0]->text(), a[1]->text())); }},
    {"retry-after", [](const Arguments &a) {
         return in_utf8(IntegerToString(CsRetryAfter(a[0]->text(), static_cast<int>(a[1]->number()))));
     }},
    {"address", [](const Arguments &a) { return in_utf8(CsReadAddress(a[0]->text())); }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
