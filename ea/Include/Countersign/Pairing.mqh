// Turning a code that the desk shows its owner into this terminal's credentials, once.
#ifndef COUNTERSIGN_PAIRING_MQH
#define COUNTERSIGN_PAIRING_MQH

#include "Desk.mqh"
#include "JsonWriter.mqh"

#define CS_PAIRED 1
#define CS_PAIR_LATER 2
#define CS_PAIR_REFUSED 3
#define CS_PAIR_NOT_KEPT 4

// Whether a code of the inputs is still to be used.
bool CsMustPair(const CsCredentials &credentials, const string code)
  {
   return(StringLen(code) > 0 && credentials.used_code != CsCodeDigest(code));
  }

// Take what the desk gave for a code and keep it.
int CsTakePaired(CsDesk &desk, const string code)
  {
   string device_id = "", secret = "";
   uchar read[];
   int device = CsJsonMember(desk.answer, 0, "device");
   if(!CsJsonText(desk.answer, device, "id", device_id) || !CsJsonText(desk.answer, 0, "secret", secret)
      || !CsIsDeviceId(device_id) || !CsReadSecret(secret, read))
      return(CS_PAIR_LATER);
   if(!CsKeepCredentials(desk.credentials, device_id, secret, CsCodeDigest(code)) || !CsDeskKeys(desk))
      return(CS_PAIR_NOT_KEPT);
   desk.refusals = 0;
   desk.trouble = "";
   return(CS_PAIRED);
  }

// Ask for credentials. The answer comes unsigned, for there is no secret yet: TLS alone says whose it is.
int CsPair(CsDesk &desk, const string code, const string login, const string server, const string version)
  {
   string inside = "";
   uchar body[];
   if(!CsHttpMayAsk(desk.http))
      return(CS_PAIR_LATER);
   CsJsonAddText(inside, "code", code);
   CsJsonAddText(inside, "login", login);
   CsJsonAddText(inside, "server", server);
   CsJsonAddText(inside, "version", version);
   CsUtf8("{" + inside + "}", body);
   int status = CsHttpAsk(desk.http, "POST", CS_EA_PATH + "pair", "Content-Type: application/json\r\n", body);
   if(status == 201 && CsJsonRead(desk.answer, desk.http.body))
     {
      CsHttpSucceeded(desk.http);
      return(CsTakePaired(desk, code));
     }
   if(status == 401)
      return(CS_PAIR_REFUSED);
   CsDeskUnheard(desk, status < 0 ? "The desk cannot be reached." : "The desk does not pair just now.");
   return(CS_PAIR_LATER);
  }

#endif
