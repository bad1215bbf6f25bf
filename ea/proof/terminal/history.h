// What was traded: the part of the history that a program has asked for.
#ifndef COUNTERSIGN_PROOF_HISTORY_H
#define COUNTERSIGN_PROOF_HISTORY_H

#include "terminal/trading.h"

namespace proof {

struct History {
    Json deals = {};
    Json orders = {};
};
inline History &history() {
    static History one;
    return one;
}

inline bool select_history(const std::string &which) {
    history().deals = broker().seen("history_deals_get", which);
    history().orders = broker().seen("history_orders_get", which);
    return history().deals.kind == Json::LIST;
}

template <typename Property> const Json &deal_property(ulong ticket, Property property) {
    const Json &row = row_of(history().deals, ticket);
    if (row.kind != Json::OBJECT) platform().last_error = ERR_TRADE_DEAL_NOT_FOUND;
    return row.at(field_of(property));
}
template <typename Property> const Json &old_order_property(ulong ticket, Property property) {
    const Json &row = row_of(history().orders, ticket);
    if (row.kind != Json::OBJECT) platform().last_error = ERR_TRADE_ORDER_NOT_FOUND;
    return row.at(field_of(property));
}

// A single row is added to what was selected.
inline bool add(Json &rows, const Json &row) {
    if (row.kind != Json::OBJECT) return false;
    rows.kind = Json::LIST;
    if (row_of(rows, static_cast<ulong>(row.at("ticket").whole())).kind != Json::OBJECT) rows.items.push_back(row);
    return true;
}

}  // namespace proof

// Moments of the trade server's clock.
inline bool HistorySelect(datetime from, datetime to) {
    return proof::select_history("{\"date_from\": " + std::to_string(from) + ", \"date_to\": " + std::to_string(to) +
                                 "}");
}
inline bool HistorySelectByPosition(long identifier) {
    return proof::select_history("{\"position\": " + std::to_string(identifier) + "}");
}
inline bool HistoryDealSelect(ulong ticket) {
    const proof::Json rows = proof::broker().seen("history_deals_get");
    return proof::add(proof::history().deals, proof::row_of(rows, ticket)) ||
           proof::failed(ERR_TRADE_DEAL_NOT_FOUND, false);
}
inline bool HistoryOrderSelect(ulong ticket) {
    const proof::Json rows = proof::broker().seen("history_orders_get");
    return proof::add(proof::history().orders, proof::row_of(rows, ticket)) ||
           proof::failed(ERR_TRADE_ORDER_NOT_FOUND, false);
}

inline int HistoryDealsTotal() { return static_cast<int>(proof::history().deals.items.size()); }
inline ulong HistoryDealGetTicket(int place) {
    return static_cast<ulong>(proof::row_at(proof::history().deals, place).at("ticket").whole());
}
inline long HistoryDealGetInteger(ulong ticket, ENUM_DEAL_PROPERTY_INTEGER property) {
    return proof::deal_property(ticket, property).whole();
}
inline double HistoryDealGetDouble(ulong ticket, ENUM_DEAL_PROPERTY_DOUBLE property) {
    return proof::deal_property(ticket, property).number();
}
inline string HistoryDealGetString(ulong ticket, ENUM_DEAL_PROPERTY_STRING property) {
    return proof::text_of(proof::deal_property(ticket, property).text);
}

inline int HistoryOrdersTotal() { return static_cast<int>(proof::history().orders.items.size()); }
inline ulong HistoryOrderGetTicket(int place) {
    return static_cast<ulong>(proof::row_at(proof::history().orders, place).at("ticket").whole());
}
inline long HistoryOrderGetInteger(ulong ticket, ENUM_ORDER_PROPERTY_INTEGER property) {
    return proof::old_order_property(ticket, property).whole();
}
inline double HistoryOrderGetDouble(ulong ticket, ENUM_ORDER_PROPERTY_DOUBLE property) {
    return proof::old_order_property(ticket, property).number();
}
inline string HistoryOrderGetString(ulong ticket, ENUM_ORDER_PROPERTY_STRING property) {
    return proof::text_of(proof::old_order_property(ticket, property).text);
}

#endif
