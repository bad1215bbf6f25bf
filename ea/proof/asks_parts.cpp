// Asks the files that reckon and need no terminal: figures, instants, clocks, volumes, the local fence, orders.
#include "asking.h"

#include "Clock.mqh"
#include "Decimal.mqh"
#include "Instant.mqh"
#include "Order.mqh"
#include "Pack.mqh"
#include "Policy.mqh"
#include "Volume.mqh"

using namespace asking;

namespace {

std::string in_utf8(const string &text) {
    return written([&](Arr<uchar> &o) { CsUtf8(text, o); });
}

double number(const Argument *text) {
    double value = 0;
    if (!CsReadDecimal(text->text(), value)) throw std::invalid_argument("a test that asks no figure");
    return value;
}

std::string portions(const Arguments &a) {
    Arr<double> shares;
    string told = "";
    const int count = CsPortions(number(a[0]), static_cast<int>(a[1]->number()), number(a[2]), number(a[3]), shares);
    if (count != ArraySize(shares)) throw std::logic_error("another count than shares");
    for (int i = 0; i < count; i++) told += string(i > 0 ? " " : "") + CsShortText(shares[i]);
    return in_utf8(told);
}

std::string policy_refusal(const Arguments &a) {
    CsPolicy policy;
    CsPolicyFacts facts;
    policy.max_lots = number(a[0]);
    policy.max_total_lots = number(a[1]);
    policy.symbols = a[2]->text();
    policy.stop_required = a[3]->number() != 0;
    policy.max_spread_points = static_cast<int>(a[4]->number());
    policy.max_daily_loss = number(a[5]);
    policy.max_orders_a_day = static_cast<int>(a[6]->number());
    policy.max_silence_seconds = static_cast<int>(a[7]->number());
    facts.symbol = a[8]->text();
    facts.volume = number(a[9]);
    facts.held_lots = number(a[10]);
    facts.has_stop = a[11]->number() != 0;
    facts.spread_points = number(a[12]);
    facts.day_loss = number(a[13]);
    facts.orders_today = static_cast<int>(a[14]->number());
    facts.silence_ms = a[15]->number();
    return in_utf8(CsPolicyRefusal(policy, facts));
}

// A clock that lives on from question to question.
CsClock the_clock;

std::string clock_times(const Argument *tick) {
    const ulong at = static_cast<ulong>(tick->number());
    return in_utf8(IntegerToString(CsClockNow(the_clock, at)) + " " + IntegerToString(CsClockLatest(the_clock, at)));
}

std::string clock_offset() {
    return in_utf8(IntegerToString(the_clock.offset_kind) + " " + IntegerToString(the_clock.offset_seconds));
}

std::string order_told(const CsOrder &order) {
    string told = order.order_id + "|" + IntegerToString(order.seq) + "|" + IntegerToString(order.magic) + "|" + order.login +
                  "|" + order.server + "|" + order.symbol + "|" + IntegerToString(order.side) + "|" +
                  IntegerToString(order.kind) + "|" + CsShortText(order.volume) + "|" +
                  (order.has_entry ? CsShortText(order.entry) : string("-")) + "|" +
                  (order.has_stop ? CsShortText(order.stop) : string("-")) + "|";
    for (int i = 0; i < ArraySize(order.targets); i++) told += string(i > 0 ? " " : "") + CsShortText(order.targets[i]);
    told += string("|") + (order.has_risk ? CsShortText(order.risk) : string("-")) + "|" +
            IntegerToString(order.deviation) + "|" + order.comment + "|" + IntegerToString(order.issued_ms) + "|" +
            IntegerToString(order.expires_ms) + "|" + (order.was_begun ? "begun" : "new");
    return in_utf8(told);
}

std::string take_order(const Argument *bytes) {
    CsJson doc;
    CsOrder order;
    if (!CsJsonRead(doc, bytes->bytes())) return "refused";
    if (!CsTakeIdentity(doc, 0, order)) return "refused";
    return CsTakeOrder(doc, 0, order) ? order_told(order) : in_utf8("not understood");
}

std::string packed(const Arguments &a) {
    Arr<uchar> bytes;
    CsPutLong(bytes, a[0]->number());
    CsPutText(bytes, a[1]->text());
    CsPutLong(bytes, -1);
    CsPutText(bytes, "");
    return hex_of(bytes);
}

std::string unpacked(const Argument *bytes) {
    CsPacked reading;
    CsUnpack(reading, bytes->bytes());
    const string first = IntegerToString(CsTakeLong(reading)), text = CsTakeText(reading);
    const string third = IntegerToString(CsTakeLong(reading)), last = CsTakeText(reading);
    return CsIsUnpacked(reading) ? in_utf8(first + "|" + text + "|" + third + "|" + last) : "refused";
}

const Answers ANSWERS = {
    {"decimal", [](const Arguments &a) {
         double value = 0;
         return CsReadDecimal(a[0]->text(), value) ? in_utf8(CsShortText(value)) : "refused";
     }},
    {"decimal-text", [](const Arguments &a) {
         return in_utf8(CsDecimalText(number(a[0]), static_cast<int>(a[1]->number())));
     }},
    {"places", [](const Arguments &a) { return in_utf8(IntegerToString(CsPlaces(number(a[0])))); }},
    {"floor", [](const Arguments &a) { return in_utf8(CsShortText(CsFloorToStep(number(a[0]), number(a[1])))); }},
    {"tick", [](const Arguments &a) {
         return in_utf8(CsShortText(CsToTick(number(a[0]), number(a[1]), static_cast<int>(a[2]->number()))));
     }},
    {"instant", [](const Arguments &a) {
         long read = 4242;
         if (CsReadInstant(a[0]->text(), read)) return in_utf8(IntegerToString(read));
         return read == 4242 ? std::string("refused") : std::string("refused, but left a number behind");
     }},
    {"instant-text", [](const Arguments &a) { return in_utf8(CsInstantText(a[0]->number())); }},
    {"within-risk", [](const Arguments &a) {
         return in_utf8(CsShortText(CsWithinRisk(number(a[0]), number(a[1]), number(a[2]), number(a[3]))));
     }},
    {"volume-refusal", [](const Arguments &a) {
         return in_utf8(CsVolumeRefusal(number(a[0]), number(a[1]), number(a[2]), number(a[3]), number(a[4]),
                                        number(a[5])));
     }},
    {"portions", portions},
    {"leg-magic", [](const Arguments &a) {
         return in_utf8(IntegerToString(CsLegMagic(a[0]->number(), static_cast<int>(a[1]->number()))));
     }},
    {"leg-of", [](const Arguments &a) {
         return in_utf8(IntegerToString(CsLegOf(a[0]->number(), a[1]->number())));
     }},
    {"policy", policy_refusal},
    {"listed", [](const Arguments &a) { return told(CsIsListed(a[0]->text(), a[1]->text())); }},
    {"clock-clear", [](const Arguments &) { return CsClockClear(the_clock), told(true); }},
    {"clock-set", [](const Arguments &a) {
         CsClockSet(the_clock, a[0]->number(), static_cast<ulong>(a[1]->number()), static_cast<ulong>(a[2]->number()));
         return clock_times(a[2]);
     }},
    {"clock-now", [](const Arguments &a) { return clock_times(a[0]); }},
    {"clock-must-sync", [](const Arguments &a) {
         return told(CsClockMustSync(the_clock, static_cast<ulong>(a[0]->number())));
     }},
    {"clock-note", [](const Arguments &a) {
         CsClockNote(the_clock, a[0]->number(), a[1]->number(), static_cast<ulong>(a[2]->number()));
         return clock_offset();
     }},
    {"order", [](const Arguments &a) { return take_order(a[0]); }},
    {"packed", packed},
    {"unpacked", [](const Arguments &a) { return unpacked(a[0]); }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
