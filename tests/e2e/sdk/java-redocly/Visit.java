import cloakroom.Cloakroom;
import java.net.CookieManager;
import java.net.http.HttpClient;
import java.util.Map;

class Visit {
    static Cloakroom connect(String url) {
        var http = HttpClient.newBuilder().cookieHandler(new CookieManager()).build(); // keeps the cookie
        return new Cloakroom(new Cloakroom.Config().serverUrl(url).httpClient(http));
    }

    static String code(Cloakroom.ApiException refusal) {
        return Cloakroom.Problem.fromJson(refusal.body).code();
    }

    static String visit(String url, String username, String password) {
        var client = connect(url);
        try {
            client.login(Cloakroom.Credentials.fromJson(Map.of("username", username, "password", password)));
        } catch (Cloakroom.ApiException refusal) {
            if (code(refusal).equals("invalid_credentials"))
                throw new IllegalArgumentException("Wrong user name or password.");
            throw refusal; // for example with a new code
        }

        var secret = client.readPrivate();
        for (var session : client.listSessions(new Cloakroom.ListSessionsParams().limit(20L)).sessions())
            if (!session.current()) client.revokeSession(session.id());
        client.logout(Cloakroom.LogoutOptions.fromJson(Map.of()));
        return secret.private_();
    }
}