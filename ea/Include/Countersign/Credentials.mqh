// Who this terminal is to the desk: the device's id and its secret, from the owner's inputs or from pairing.
//
// A terminal has no safe place: the secret lies in MQL5\Files as it is. Whoever reads it can sign until the owner
// revokes the device.
#ifndef COUNTERSIGN_CREDENTIALS_MQH
#define COUNTERSIGN_CREDENTIALS_MQH

#include "Signing.mqh"
#include "Store.mqh"

#define CS_CODE_SIZE 10

// Letters and digits that codes have: none that looks like another.
const string CS_CODE_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789";

struct CsCredentials
  {
   CsStored stored;
   string   device_id;
   uchar    secret[];
   string   used_code;     // digest of the code that was paired with: it works once
   bool     from_inputs;
  };

void CsCredentialsClear(CsCredentials &credentials)
  {
   credentials.stored.name = "";
   credentials.stored.generation = 0;
   credentials.device_id = "";
   ArrayResize(credentials.secret, 0);
   credentials.used_code = "";
   credentials.from_inputs = false;
  }

bool CsHasCredentials(const CsCredentials &credentials)
  {
   return(StringLen(credentials.device_id) > 0 && ArraySize(credentials.secret) == CS_SECRET_SIZE);
  }

// Whether a text may be a device's id: it goes into a header and must not end it.
bool CsIsDeviceId(const string text)
  {
   int size = StringLen(text);
   for(int i = 0; i < size; i++)
     {
      ushort c = StringGetCharacter(text, i);
      if(CsBase64UrlDigit(c) < 0)
         return(false);
     }
   return(size >= 1 && size <= 32);
  }

// Take what stands in a text of the desk or of the inputs. False, and nothing changed, for what is no device.
bool CsTakeCredentials(CsCredentials &credentials, const string device_id, const string secret)
  {
   uchar read[];
   if(!CsIsDeviceId(device_id) || !CsReadSecret(secret, read))
      return(false);
   credentials.device_id = device_id;
   ArrayResize(credentials.secret, 0);
   ArrayCopy(credentials.secret, read);
   return(true);
  }

// Read what pairing has left. CS_STORE_BROKEN for what cannot be read.
int CsCredentialsStart(CsCredentials &credentials, const string name)
  {
   uchar content[];
   CsPacked packed;
   CsCredentialsClear(credentials);
   int status = CsStoreRead(credentials.stored, name, content);
   if(status == CS_STORE_BROKEN || status == CS_STORE_EMPTY)
      return(status);
   CsUnpack(packed, content);
   string device_id = CsTakeText(packed);
   string secret = CsTakeText(packed);
   credentials.used_code = CsTakeText(packed);
   if(!CsIsUnpacked(packed) || !CsTakeCredentials(credentials, device_id, secret))
      return(CS_STORE_BROKEN);
   return(status);
  }

// Keep what pairing gave.
bool CsKeepCredentials(CsCredentials &credentials, const string device_id, const string secret, const string code)
  {
   uchar content[];
   ArrayResize(content, 0);
   CsPutText(content, device_id);
   CsPutText(content, secret);
   CsPutText(content, code);
   if(!CsStoreWrite(credentials.stored, content) || !CsTakeCredentials(credentials, device_id, secret))
      return(false);
   credentials.used_code = code;
   return(true);
  }

// A code as the desk reads it, without what people put between; empty for what is none.
string CsReadCode(const string text)
  {
   string given = text, code = "";
   StringToUpper(given);
   for(int i = 0; i < StringLen(given); i++)
     {
      string letter = StringSubstr(given, i, 1);
      if(letter == " " || letter == "-")
         continue;
      if(StringFind(CS_CODE_LETTERS, letter) < 0)
         return("");
      code += letter;
     }
   return(StringLen(code) == CS_CODE_SIZE ? code : "");
  }

// What is kept of a code that was used.
string CsCodeDigest(const string code)
  {
   uchar bytes[];
   CsUtf8(code, bytes);
   return(CsBodyDigest(bytes));
  }

#endif
