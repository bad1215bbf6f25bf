// Whether this terminal's compiler makes of Countersign's files what the standards print. Drag it on any chart; it
// trades nothing, asks nothing of the network and writes its findings to the Experts tab.
#property copyright "Countersign"
#property version   "1.00"

#include <Countersign/Bytes.mqh>
#include <Countersign/ChaCha20Poly1305.mqh>
#include <Countersign/Envelope.mqh>
#include <Countersign/Hkdf.mqh>
#include <Countersign/Hmac.mqh>
#include <Countersign/Poly1305.mqh>
#include <Countersign/Sha256.mqh>
#include <Countersign/Signing.mqh>

// Tell whether what came out is what the source prints; one more if it is not.
int CsCheck(const string name, const string found, const string right)
  {
   if(found == right)
     {
      Print("ok: " + name);
      return(0);
     }
   Print("WRONG: " + name + " is " + found);
   return(1);
  }

// FIPS 180-4; RFC 4231, case 2; RFC 5869, A.3.
int CsCheckHashes()
  {
   uchar nothing[], text[], key[], answer[];
   int wrong = 0;
   CsUtf8("abc", text);
   CsSha256(text, answer);
   wrong += CsCheck("SHA-256", CsToHex(answer), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
   CsUtf8("Jefe", key);
   CsUtf8("what do ya want for nothing?", text);
   CsHmacSha256(key, text, answer);
   wrong += CsCheck("HMAC", CsToHex(answer), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
   ArrayResize(key, 22);
   ArrayInitialize(key, 11);
   CsHkdfSha256(key, nothing, nothing, 42, answer);
   wrong += CsCheck("HKDF", CsToHex(answer),
                    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a"
                    + "96c8");
   return(wrong);
  }

// RFC 8439, section 2.8.2, there and back, and with one bit of it changed.
int CsCheckSealing()
  {
   uchar key[], nonce[], aad[], text[], sealed[], opened[];
   string right = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca96712"
                  + "82fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58"
                  + "fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09"
                  + "e26a7e902ecbd0600691";
   int wrong = 0;
   ArrayResize(key, 32);
   for(int i = 0; i < 32; i++)
      key[i] = (uchar)(128 + i);
   CsFromHex("070000004041424344454647", nonce);
   CsFromHex("50515253c0c1c2c3c4c5c6c7", aad);
   CsUtf8("Ladies and Gentlemen of the class of '99: If I could offer you only on"
          + "e tip for the future, sunscreen would be it.", text);
   CsSeal(key, nonce, aad, text, sealed);
   wrong += CsCheck("sealing", CsToHex(sealed), right);
   CsOpen(key, nonce, aad, sealed, opened);
   wrong += CsCheck("opening", CsToHex(opened), CsToHex(text));
   sealed[0] = (uchar)((int)sealed[0] ^ 1);
   wrong += CsCheck("refusing", CsOpen(key, nonce, aad, sealed, opened) ? "opened" : "refused", "refused");
   return(wrong);
  }

// Two of the vectors that the desk is held to.
int CsCheckSigning()
  {
   uchar secret[], body[];
   int wrong = 0;
   string nonce = "AAAAAAAAAAAAAAAA";
   CsReadSecret("xYpGuFzjhG_6fkOZUc8Nqq_QKa_K2xDEn6qOToY2QPs", secret);
   string signature = CsSignRequest(secret, "GET", "/api/v1/ea/poll", 1714564801, nonce, body);
   wrong += CsCheck("signing", signature, "v1=587bb5dbe6753fee1651a0a49b355c7516287270e013e076cd974532b71ac68c");
   bool genuine = CsIsGenuineAnswer(secret, 204, nonce, body,
                                    "v1=6fe797f1172d74d56e7b1d9009b05b6ab2be50689e0cf2f62d9e7bf34ad02f46");
   wrong += CsCheck("checking an answer", genuine ? "genuine" : "refused", "genuine");
   genuine = CsIsGenuineAnswer(secret, 200, nonce, body,
                               "v1=6fe797f1172d74d56e7b1d9009b05b6ab2be50689e0cf2f62d9e7bf34ad02f46");
   wrong += CsCheck("refusing an answer", genuine ? "genuine" : "refused", "refused");
   return(wrong);
  }

// Two of the vectors that the desk is held to, and one of them under another counter.
int CsCheckEnvelopes()
  {
   uchar secret[], up[], down[], text[], sealed[];
   int wrong = 0;
   string device = "dv_0123456789abcdef01234567";
   string right = "011b64765f30313233343536373839616263646566303132333435363700000000000000023e1003"
                  + "850ef5a61ded3d01d1887a835b";
   CsReadSecret("xYpGuFzjhG_6fkOZUc8Nqq_QKa_K2xDEn6qOToY2QPs", secret);
   CsEnvelopeKeys(secret, device, up, down);
   CsSealRequest(up, device, 2, "/api/v1/ea/begin" + CsEnvelopeQuery(2), text, sealed);
   wrong += CsCheck("an envelope", CsToHex(sealed), right);
   CsReadSecret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", secret);
   CsEnvelopeKeys(secret, device, up, down);
   CsFromHex("011b64765f30313233343536373839616263646566303132333435363700000000000000016ac716"
             + "3e2173d16b9731ff50aa274ca4527a4cf145b2a4fd3f60b1d97727aeadccb64ce1", sealed);
   string path = "/api/v1/ea/ack" + CsEnvelopeQuery(1);
   CsOpenAnswer(down, device, 1, path, sealed, text);
   wrong += CsCheck("opening an envelope", CsToHex(text), "7b227265636f72646564223a2274616b656e227d");
   bool opened = CsOpenAnswer(down, device, 2, path, sealed, text);
   wrong += CsCheck("refusing an envelope", opened ? "opened" : "refused", "refused");
   return(wrong);
  }

void OnStart()
  {
   int wrong = CsCheckHashes() + CsCheckSealing() + CsCheckSigning() + CsCheckEnvelopes();
   Print(wrong == 0 ? "Countersign: all as the standards print it" : "Countersign: WRONG, do not use it here");
  }
