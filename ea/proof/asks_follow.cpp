// Asks what becomes of orders after they were sent, of traces that are told and not looked for, and what a terminal
// without a connection says of the day's loss.
#include "asking.h"
#include "terminal.h"

#include "Day.mqh"
#include "Follow.mqh"

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

// One order that lives on from question to question; the desk's clock shows ticks.
CsRecord the_record;
CsClock the_clock;

std::string begun(const Arguments &a) {
    CsClockClear(the_clock);
    CsRecordClear(the_record);
    the_record.state = static_cast<int>(a[0]->number());
    the_record.kind = static_cast<int>(a[1]->number());
    the_record.volume = number(a[2]);
    the_record.began_ms = a[3]->number();
    the_record.expires_ms = a[4]->number();
    return told(true);
}

void take_traces(const Arguments &a, CsTraces &traces) {
    CsTracesClear(traces);
    traces.opened = traces.paid = number(a[1]);
    traces.closed = traces.closed_for = number(a[2]);
    traces.positions = static_cast<int>(a[3]->number());
    traces.waiting_lots = number(a[4]);
    traces.waiting = traces.waiting_lots > 0 ? 1 : 0;
    traces.is_on_its_way = a[5]->number() != 0;
    traces.ended = a[6]->number();
}

std::string followed(const Arguments &a) {
    const ulong tick = static_cast<ulong>(a[0]->number());
    CsTraces traces;
    take_traces(a, traces);
    const int state = the_record.state;
    const bool changed = state == CS_OPEN      ? CsFollowOpen(the_record, traces, tick)
                         : state == CS_WAITING ? CsFollowWaiting(the_clock, the_record, traces, tick)
                                               : CsFollowLooking(the_clock, the_record, traces, tick);
    return in_utf8(changed ? IntegerToString(the_record.state) + " " + IntegerToString(the_record.reached) + " " +
                                 the_record.error
                           : string("as before"));
}

std::string day_loss() {
    CsDays days;
    double loss = 0.0;
    CsDaysClear(days);
    days.current = CsAccountPlace(days, "1", "Server");
    days.accounts[0].since = 1;
    days.accounts[0].equity = 100.0;
    return CsDayLoss(days, loss) ? in_utf8(CsShortText(loss)) : "refused";
}

const Answers ANSWERS = {
    {"begun", begun},
    {"followed", followed},
    {"cut", [](const Arguments &) { return CsForgetMissing(the_record), told(true); }},
    {"day-loss", [](const Arguments &) { return day_loss(); }},
    {"history-since", [](const Arguments &a) {
         CsClockClear(the_clock);
         the_clock.offset_kind = CS_OFFSET_CERTAIN;
         the_clock.offset_seconds = static_cast<int>(a[1]->number());
         return in_utf8(IntegerToString(CsHistorySince(the_clock, a[0]->number())));
     }},
};

}  // namespace

int main() { return answer_all(ANSWERS); }
