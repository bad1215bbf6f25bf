// Terminal, account and symbols, as the broker has them.
#ifndef COUNTERSIGN_PROOF_QUERIES_H
#define COUNTERSIGN_PROOF_QUERIES_H

#include <set>

#include "terminal/broker.h"
#include "terminal/constants.h"
#include "terminal/properties.h"

struct MqlTick {
    datetime time;
    double bid;
    double ask;
    double last;
    ulong volume;
    long time_msc;
    uint flags;
    double volume_real;
};

namespace proof {

inline std::string argument(const char *name, const string &text) {
    return std::string("{\"") + name + "\": " + json_text(utf8(text)) + "}";
}

// How far the trade server's clock is ahead of UTC, from the newest quote, in whole quarters of an hour.
inline long server_offset() {
    static long known = 0;
    long newest = 0;
    for (const Json &symbol : broker().seen("symbols_get", "{\"group\": \"\"}").items)
        if (symbol.at("select").truth()) newest = std::max(newest, symbol.at("time").whole());
    const double quarters = static_cast<double>(newest - true_seconds()) / 900.0;
    if (newest > 0) known = std::lround(quarters) * 900;
    return known;
}

inline const Json &symbol_of(const string &name) { return broker().seen("symbol_info", argument("symbol", name)); }

inline const Json &seen_tick(const string &name) {
    return broker().seen("symbol_info_tick", argument("symbol", name));
}

// Symbols that were chosen and have not been looked at since: with EA_SLOW_QUOTES they have no price at first.
inline std::set<std::string> &just_selected() {
    static std::set<std::string> names;
    return names;
}
inline bool is_quoted(const Json &symbol) {
    return symbol.at("select").truth() && just_selected().erase(symbol.at("name").text) == 0;
}

}  // namespace proof

inline datetime TimeTradeServer() { return proof::computer_seconds() + proof::server_offset(); }

// The newest quote of whatever is selected; 0 before the first.
inline datetime TimeCurrent() {
    long newest = 0;
    for (const proof::Json &symbol : proof::broker().seen("symbols_get", "{\"group\": \"\"}").items)
        if (symbol.at("select").truth()) newest = std::max(newest, symbol.at("time").whole());
    return newest == 0 ? 0 : newest + proof::lead_ms() / 1000;
}

inline long TerminalInfoInteger(ENUM_TERMINAL_INFO_INTEGER property) {
    const proof::Json answer = proof::broker().ask("terminal_info", "{}");
    if (answer.kind == proof::Json::NOTHING && property == TERMINAL_TRADE_ALLOWED) return 1;
    return answer.at(proof::field_of(property)).whole();
}
inline string TerminalInfoString(ENUM_TERMINAL_INFO_STRING property) {
    switch (property) {
        case TERMINAL_DATA_PATH: return proof::text_of(proof::setting("EA_DATA"));
        case TERMINAL_COMMONDATA_PATH: return proof::text_of(proof::setting("EA_COMMON_DATA"));
        case TERMINAL_LANGUAGE: return "English";
        case TERMINAL_COMPANY: return proof::text_of(proof::broker().seen("terminal_info").at("company").text);
        default: return "MetaTrader 5";
    }
}
inline long MQLInfoInteger(ENUM_MQL_INFO_INTEGER property) {
    return property == MQL_TRADE_ALLOWED && proof::platform().expert_allowed ? 1 : 0;
}
inline string MQLInfoString(ENUM_MQL_INFO_STRING property) {
    const string name = proof::text_of(proof::setting("EA_NAME", "Expert"));
    return property == MQL_PROGRAM_NAME ? name : "MQL5\\Experts\\" + name + ".ex5";
}

inline long AccountInfoInteger(ENUM_ACCOUNT_INFO_INTEGER property) {
    return proof::broker().seen("account_info").at(proof::field_of(property)).whole();
}
inline double AccountInfoDouble(ENUM_ACCOUNT_INFO_DOUBLE property) {
    return proof::broker().seen("account_info").at(proof::field_of(property)).number();
}
inline string AccountInfoString(ENUM_ACCOUNT_INFO_STRING property) {
    return proof::text_of(proof::broker().seen("account_info").at(proof::field_of(property)).text);
}

inline int SymbolsTotal(bool selected) {
    int count = 0;
    for (const proof::Json &symbol : proof::broker().seen("symbols_get", "{\"group\": \"\"}").items)
        if (!selected || symbol.at("select").truth()) count++;
    return count;
}
inline string SymbolName(int place, bool selected) {
    for (const proof::Json &symbol : proof::broker().seen("symbols_get", "{\"group\": \"\"}").items)
        if ((!selected || symbol.at("select").truth()) && place-- == 0) return proof::text_of(symbol.at("name").text);
    return proof::failed(ERR_MARKET_UNKNOWN_SYMBOL, string());
}
inline bool SymbolExist(const string &name, bool &is_custom) {
    is_custom = false;
    return proof::symbol_of(name).kind == proof::Json::OBJECT;
}
inline bool SymbolSelect(const string &name, bool wanted) {
    if (proof::symbol_of(name).kind != proof::Json::OBJECT) return proof::failed(ERR_MARKET_UNKNOWN_SYMBOL, false);
    if (wanted && !proof::symbol_of(name).at("select").truth() && proof::setting("EA_SLOW_QUOTES") == "1")
        proof::just_selected().insert(proof::utf8(name));
    proof::broker().look_again();
    return proof::broker().ask("symbol_select", "{\"symbol\": " + proof::json_text(proof::utf8(name)) +
                               ", \"enable\": " + (wanted ? "true" : "false") + "}").truth();
}

namespace proof {

template <typename Property> const Json &symbol_property(const string &name, Property property) {
    static const Json nothing;
    const Json &symbol = symbol_of(name);
    if (symbol.kind != Json::OBJECT) return failed(ERR_MARKET_UNKNOWN_SYMBOL, std::cref(nothing)).get();
    const std::string field = field_of(property);
    const bool of_the_quote = field == "bid" || field == "ask" || field == "time" || field == "time_msc";
    if (of_the_quote && !is_quoted(symbol)) return failed(ERR_MARKET_NOT_SELECTED, std::cref(nothing)).get();
    if (field != "time_msc") return symbol.at(field);
    return seen_tick(name).at(field);
}

// A whole number; the time of the last quote is as far ahead of real time as the program is.
inline long whole_property(const Json &found, ENUM_SYMBOL_INFO_INTEGER property) {
    if (found.kind == Json::NOTHING) return 0;
    const std::string field = field_of(property);
    return found.whole() + (field == "time" ? lead_ms() / 1000 : field == "time_msc" ? lead_ms() : 0);
}

}  // namespace proof

inline long SymbolInfoInteger(const string &name, ENUM_SYMBOL_INFO_INTEGER property) {
    return proof::whole_property(proof::symbol_property(name, property), property);
}
inline bool SymbolInfoInteger(const string &name, ENUM_SYMBOL_INFO_INTEGER property, long &value) {
    const proof::Json &found = proof::symbol_property(name, property);
    value = proof::whole_property(found, property);
    return found.kind != proof::Json::NOTHING;
}
inline double SymbolInfoDouble(const string &name, ENUM_SYMBOL_INFO_DOUBLE property) {
    return proof::symbol_property(name, property).number();
}
inline bool SymbolInfoDouble(const string &name, ENUM_SYMBOL_INFO_DOUBLE property, double &value) {
    const proof::Json &found = proof::symbol_property(name, property);
    value = found.number();
    return found.kind != proof::Json::NOTHING;
}
inline string SymbolInfoString(const string &name, ENUM_SYMBOL_INFO_STRING property) {
    return proof::text_of(proof::symbol_property(name, property).text);
}

// False where there is no price; what the structure held stays.
inline bool SymbolInfoTick(const string &name, MqlTick &tick) {
    const proof::Json &symbol = proof::symbol_of(name);
    if (symbol.kind != proof::Json::OBJECT) return proof::failed(ERR_MARKET_UNKNOWN_SYMBOL, false);
    if (!proof::is_quoted(symbol)) return proof::failed(ERR_MARKET_NOT_SELECTED, false);
    const proof::Json &found = proof::seen_tick(name);
    if (found.kind != proof::Json::OBJECT) return proof::failed(ERR_MARKET_NOT_SELECTED, false);
    const long lead = proof::lead_ms();
    tick = {found.at("time").whole() + lead / 1000, found.at("bid").number(), found.at("ask").number(), found.at("last").number(),
            static_cast<ulong>(found.at("volume").whole()), found.at("time_msc").whole() + lead,
            static_cast<uint>(found.at("flags").whole()), found.at("volume_real").number()};
    return true;
}

#endif
