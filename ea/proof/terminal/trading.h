// Orders to the trade server, and what is open there.
#ifndef COUNTERSIGN_PROOF_TRADING_H
#define COUNTERSIGN_PROOF_TRADING_H

#include "terminal/queries.h"

struct MqlTradeRequest {
    ENUM_TRADE_REQUEST_ACTIONS action;
    ulong magic;
    ulong order;
    string symbol;
    double volume;
    double price;
    double stoplimit;
    double sl;
    double tp;
    ulong deviation;
    ENUM_ORDER_TYPE type;
    ENUM_ORDER_TYPE_FILLING type_filling;
    ENUM_ORDER_TYPE_TIME type_time;
    datetime expiration;
    string comment;
    ulong position;
    ulong position_by;
};

struct MqlTradeResult {
    uint retcode;
    ulong deal;
    ulong order;
    double volume;
    double price;
    double bid;
    double ask;
    string comment;
    uint request_id;
    int retcode_external;
};

struct MqlTradeCheckResult {
    uint retcode;
    double balance;
    double equity;
    double profit;
    double margin;
    double margin_free;
    double margin_level;
    string comment;
};

namespace proof {

inline std::string written(const MqlTradeRequest &request) {
    if (StringLen(request.comment) > 31) throw std::logic_error("a comment that the trade server would cut");
    std::string text = "{\"request\": {";
    const auto whole = [&](const char *name, ulong number) {
        text += std::string("\"") + name + "\": " + std::to_string(number) + ", ";
    };
    const auto real = [&](const char *name, double number) {
        if (!std::isfinite(number)) throw std::logic_error("a number that is none in a request");
        text += std::string("\"") + name + "\": " + json_number(number) + ", ";
    };
    whole("action", request.action), whole("magic", request.magic), whole("order", request.order);
    real("volume", request.volume), real("price", request.price), real("stoplimit", request.stoplimit);
    real("sl", request.sl), real("tp", request.tp), whole("deviation", request.deviation);
    whole("type", request.type), whole("type_filling", request.type_filling), whole("type_time", request.type_time);
    whole("expiration", static_cast<ulong>(request.expiration)), whole("position", request.position);
    whole("position_by", request.position_by);
    return text + "\"symbol\": " + json_text(utf8(request.symbol)) +
           ", \"comment\": " + json_text(utf8(request.comment)) + "}}";
}

inline bool refused(MqlTradeResult &result, uint retcode, int error) {
    result = MqlTradeResult();
    result.retcode = retcode;
    return failed(error, false);
}

inline void order_is_sent() { point("order sent"); }

}  // namespace proof

// True when the trade server took it: done, done in part, or placed; the code says more. The reference can also be read
// so that it is true whenever there was an answer: EA_LAX_SENDING makes it so, for nobody may rest on either.
inline bool OrderSend(const MqlTradeRequest &request, MqlTradeResult &result) {
    const std::string asked = proof::written(request);
    proof::point("order");
    if (!proof::platform().expert_allowed) return proof::refused(result, 10027, ERR_TRADE_DISABLED);
    if (!proof::broker().connected()) return proof::refused(result, 10031, ERR_TRADE_SEND_FAILED);
    proof::Json answer;
    try {
        answer = proof::broker().ask("order_send", asked, proof::order_is_sent);
    } catch (const proof::Cut &) {
        return proof::refused(result, 10012, ERR_TRADE_SEND_FAILED);
    }
    proof::point("order answered");
    // The terminal itself refused: no code of a trade server.
    if (answer.kind != proof::Json::OBJECT) return proof::refused(result, 0, ERR_TRADE_SEND_FAILED);
    result = {static_cast<uint>(answer.at("retcode").whole()), static_cast<ulong>(answer.at("deal").whole()),
              static_cast<ulong>(answer.at("order").whole()), answer.at("volume").number(),
              answer.at("price").number(), answer.at("bid").number(), answer.at("ask").number(),
              proof::text_of(answer.at("comment").text), static_cast<uint>(answer.at("request_id").whole()), 0};
    const bool taken = result.retcode >= TRADE_RETCODE_PLACED && result.retcode <= TRADE_RETCODE_DONE_PARTIAL;
    if (proof::setting("EA_LAX_SENDING") == "1") return true;
    return taken || proof::failed(ERR_TRADE_SEND_FAILED, false);
}

// True when a request would be taken as far as funds and form go; retcode 0 then.
inline bool OrderCheck(const MqlTradeRequest &request, MqlTradeCheckResult &result) {
    const proof::Json answer = proof::broker().ask("order_check", proof::written(request));
    result = {static_cast<uint>(answer.at("retcode").whole()), answer.at("balance").number(),
              answer.at("equity").number(), answer.at("profit").number(), answer.at("margin").number(),
              answer.at("margin_free").number(), answer.at("margin_level").number(),
              proof::text_of(answer.at("comment").text)};
    if (answer.kind != proof::Json::OBJECT) result.retcode = TRADE_RETCODE_CONNECTION;
    return result.retcode == 0 || proof::failed(ERR_TRADE_SEND_FAILED, false);
}

namespace proof {

inline bool calculated(const char *call, ENUM_ORDER_TYPE action, const string &symbol, double volume,
                       const std::string &prices, double &result) {
    const Json answer = broker().ask(call, "{\"action\": " + std::to_string(action % 2) + ", \"symbol\": " +
                                     json_text(utf8(symbol)) + ", \"volume\": " + json_number(volume) + prices + "}");
    result = answer.number();
    return answer.kind == Json::NUMBER || failed(ERR_MARKET_UNKNOWN_SYMBOL, false);
}

}  // namespace proof

inline bool OrderCalcMargin(ENUM_ORDER_TYPE action, const string &symbol, double volume, double price, double &margin) {
    return proof::calculated("order_calc_margin", action, symbol, volume,
                             ", \"price\": " + proof::json_number(price), margin);
}
inline bool OrderCalcProfit(ENUM_ORDER_TYPE action, const string &symbol, double volume, double price_open,
                            double price_close, double &profit) {
    return proof::calculated("order_calc_profit", action, symbol, volume,
                             ", \"price_open\": " + proof::json_number(price_open) +
                             ", \"price_close\": " + proof::json_number(price_close), profit);
}

namespace proof {

// One of many rows that was chosen, copied as it was then. Without a choice everything is 0.
struct Chosen {
    Json row = {};
    int missing;
    explicit Chosen(int error) : missing(error) {}

    bool take(const Json &found) {
        row = found;
        return found.kind == Json::OBJECT || failed(missing, false);
    }
    template <typename Property> const Json &at(Property property) {
        if (row.kind != Json::OBJECT) platform().last_error = missing;
        return row.at(field_of(property));
    }
};

inline const Json &row_at(const Json &rows, int place) {
    static const Json nothing;
    return place < 0 || place >= static_cast<int>(rows.items.size()) ? nothing
                                                                     : rows.items[static_cast<std::size_t>(place)];
}
inline const Json &row_of(const Json &rows, ulong ticket) {
    static const Json nothing;
    for (const Json &row : rows.items)
        if (row.at("ticket").whole() == static_cast<long>(ticket)) return row;
    return nothing;
}

inline Chosen &position() {
    static Chosen one(ERR_TRADE_POSITION_NOT_FOUND);
    return one;
}
inline Chosen &order() {
    static Chosen one(ERR_TRADE_ORDER_NOT_FOUND);
    return one;
}

}  // namespace proof

inline int PositionsTotal() { return static_cast<int>(proof::broker().seen("positions_get").items.size()); }
inline ulong PositionGetTicket(int place) {
    proof::position().take(proof::row_at(proof::broker().seen("positions_get"), place));
    return static_cast<ulong>(proof::position().row.at("ticket").whole());
}
inline bool PositionSelectByTicket(ulong ticket) {
    return proof::position().take(proof::row_of(proof::broker().seen("positions_get"), ticket));
}
inline long PositionGetInteger(ENUM_POSITION_PROPERTY_INTEGER property) {
    return proof::position().at(property).whole();
}
inline double PositionGetDouble(ENUM_POSITION_PROPERTY_DOUBLE property) {
    return proof::position().at(property).number();
}
inline string PositionGetString(ENUM_POSITION_PROPERTY_STRING property) {
    return proof::text_of(proof::position().at(property).text);
}

inline int OrdersTotal() { return static_cast<int>(proof::broker().seen("orders_get").items.size()); }
inline ulong OrderGetTicket(int place) {
    proof::order().take(proof::row_at(proof::broker().seen("orders_get"), place));
    return static_cast<ulong>(proof::order().row.at("ticket").whole());
}
inline bool OrderSelect(ulong ticket) {
    return proof::order().take(proof::row_of(proof::broker().seen("orders_get"), ticket));
}
inline long OrderGetInteger(ENUM_ORDER_PROPERTY_INTEGER property) { return proof::order().at(property).whole(); }
inline double OrderGetDouble(ENUM_ORDER_PROPERTY_DOUBLE property) { return proof::order().at(property).number(); }
inline string OrderGetString(ENUM_ORDER_PROPERTY_STRING property) {
    return proof::text_of(proof::order().at(property).text);
}

#endif
