// Drives google-oauth-client in JSON lines; see docs/drivers.md. The library's Credential keeps and
// signs; that it asks again by client credentials is three lines of its user's.

import com.google.api.client.auth.oauth2.BearerToken;
import com.google.api.client.auth.oauth2.ClientCredentialsTokenRequest;
import com.google.api.client.auth.oauth2.Credential;
import com.google.api.client.auth.oauth2.TokenResponse;
import com.google.api.client.auth.oauth2.TokenResponseException;
import com.google.api.client.http.BasicAuthentication;
import com.google.api.client.http.ByteArrayContent;
import com.google.api.client.http.GenericUrl;
import com.google.api.client.http.HttpRequest;
import com.google.api.client.http.HttpRequestInitializer;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.api.client.json.gson.GsonFactory;
import com.google.api.client.util.Clock;
import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Driver {
  static long ahead = 0;
  static final Clock CLOCK = () -> System.currentTimeMillis() + ahead;

  static class Client {
    final NetHttpTransport transport;
    final HttpRequestInitializer timeouts;
    final Credential credential;

    Client(JsonObject config) throws Exception {
      int milliseconds = (int) (config.get("timeout").getAsDouble() * 1000);
      timeouts = request -> request.setConnectTimeout(milliseconds).setReadTimeout(milliseconds);
      NetHttpTransport.Builder builder = new NetHttpTransport.Builder();
      if (!config.get("ca_file").isJsonNull()) {
        builder.trustCertificatesFromStream(new FileInputStream(config.get("ca_file").getAsString()));
      }
      transport = builder.build();
      GenericUrl tokenUrl = new GenericUrl(config.get("token_url").getAsString());
      BasicAuthentication basic =
          new BasicAuthentication(
              config.get("client_id").getAsString(), config.get("client_secret").getAsString());
      String scope = config.get("scope").getAsString();
      Credential.Builder settings =
          new Credential.Builder(BearerToken.authorizationHeaderAccessMethod())
              .setTransport(transport)
              .setJsonFactory(GsonFactory.getDefaultInstance())
              .setClock(CLOCK);
      credential =
          new Credential(settings) {
            @Override
            protected TokenResponse executeRefreshToken() throws IOException {
              ClientCredentialsTokenRequest request =
                  new ClientCredentialsTokenRequest(transport, getJsonFactory(), tokenUrl);
              request.setRequestInitializer(timeouts).setClientAuthentication(basic);
              return (scope.isEmpty() ? request : request.setScopes(Arrays.asList(scope.split(" "))))
                  .execute();
            }
          };
    }

    String getToken() throws IOException {
      Long left = credential.getExpiresInSeconds();
      if (credential.getAccessToken() == null || left != null && left <= 60) {
        if (!credential.refreshToken()) throw new IOException("the token was not refreshed");
      }
      return credential.getAccessToken();
    }

    int request(JsonObject asked) throws IOException {
      JsonObject headers = asked.getAsJsonObject("headers");
      ByteArrayContent content = null;
      if (!asked.get("body").isJsonNull()) {
        JsonElement type = headers.remove("Content-Type");
        String body = asked.get("body").getAsString();
        content = ByteArrayContent.fromString(type == null ? null : type.getAsString(), body);
      }
      HttpRequest request =
          transport
              .createRequestFactory(
                  made -> {
                    timeouts.initialize(made);
                    credential.initialize(made);
                  })
              .buildRequest(
                  asked.get("method").getAsString(),
                  new GenericUrl(asked.get("url").getAsString()),
                  content);
      headers.entrySet().forEach(e -> request.getHeaders().set(e.getKey(), e.getValue().getAsString()));
      request.setThrowExceptionOnExecuteError(false);
      var answer = request.execute();
      answer.ignore();
      return answer.getStatusCode();
    }
  }

  static final Map<String, Client> CLIENTS = new HashMap<>();

  static JsonObject errorOf(Throwable error) {
    String kind = "malformed", code = "";
    if (error instanceof TokenResponseException) {
      var details = ((TokenResponseException) error).getDetails();
      kind = details == null ? "http" : "oauth";
      code = details == null || details.getError() == null ? "" : details.getError();
    } else if (error instanceof SocketTimeoutException) {
      kind = "timeout";
    } else if (error instanceof IOException) {
      kind = "transport";
    }
    return object("kind", kind, "code", code, "message", String.valueOf(error));
  }

  static JsonObject object(String... pairs) {
    JsonObject made = new JsonObject();
    for (int n = 0; n < pairs.length; n += 2) made.addProperty(pairs[n], pairs[n + 1]);
    return made;
  }

  static JsonArray burst(Client client, int count) throws Throwable {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      List<Callable<String>> begun = new ArrayList<>();
      for (int n = 0; n < count; n++) begun.add(client::getToken);
      JsonArray tokens = new JsonArray();
      for (Future<String> each : threads.invokeAll(begun)) tokens.add(each.get());
      return tokens;
    } catch (ExecutionException error) {
      throw error.getCause();
    } finally {
      threads.shutdownNow();
    }
  }

  static JsonObject answer(JsonObject asked) throws Throwable {
    JsonObject ok = new JsonObject();
    String name = asked.has("client") ? asked.get("client").getAsString() : "";
    switch (asked.get("op").getAsString()) {
      case "hello":
        ok = object("name", "google-oauth-client", "version", "1.34.1");
        String able = "[\"get_token\", \"request\", \"burst\", \"clock\"]";
        ok.add("capabilities", JsonParser.parseString(able));
        return ok;
      case "open":
        CLIENTS.put(name, new Client(asked.getAsJsonObject("config")));
        return ok;
      case "get_token":
        return object("access_token", CLIENTS.get(name).getToken());
      case "request":
        ok.addProperty("status", CLIENTS.get(name).request(asked));
        return ok;
      case "burst":
        ok.add("access_tokens", burst(CLIENTS.get(name), asked.get("count").getAsInt()));
        return ok;
      case "advance":
        ahead += Math.round(asked.get("seconds").getAsDouble() * 1000);
        return ok;
      case "close":
        CLIENTS.remove(name);
        return ok;
      case "bye":
        return ok;
      default:
        return null;
    }
  }

  public static void main(String[] arguments) throws Exception {
    Gson gson = new Gson().newBuilder().serializeNulls().create();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonObject asked = JsonParser.parseString(line).getAsJsonObject();
      JsonObject said = new JsonObject();
      said.add("id", asked.get("id"));
      try {
        JsonObject ok = answer(asked);
        if (ok == null) said.addProperty("unsupported", true);
        else said.add("ok", ok);
      } catch (Throwable error) {
        said.add("err", errorOf(error));
      }
      out.println(gson.toJson(said));
      if (asked.get("op").getAsString().equals("bye")) break;
    }
    System.exit(0);
  }
}
