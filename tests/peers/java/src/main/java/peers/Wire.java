// The JSON lines between a client and whoever drives it: verbs come in, results, questions and news go out. What the verbs do is in
// Client.java.
package peers;

import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.json.McpJsonMapper;
import io.modelcontextprotocol.spec.McpError;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

abstract class Wire {

    static final McpJsonMapper JSON = McpJsonDefaults.getMapper();

    private final Map<Integer, CompletableFuture<Object>> waiting = new ConcurrentHashMap<>();
    private final AtomicInteger questions = new AtomicInteger();
    private final ExecutorService workers = Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });

    abstract Object perform(Order order) throws Exception;

    /** Hands every order to `perform`, each in a thread of its own, until nobody speaks any more. */
    void attend() throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Order order = new Order(JSON.readValue(line, Map.class));
            if (order.has("answer")) {
                waiting.remove(order.number("answer")).complete(order.get("result"));
            } else {
                workers.submit(() -> obey(order));
            }
        }
    }

    private void obey(Order order) {
        Map<String, Object> said = new LinkedHashMap<>();
        said.put("id", order.number("id"));
        try {
            said.put("result", perform(order));
        } catch (Throwable error) {
            said.put("error", told(error));
        }
        say(said);
    }

    private static Map<String, Object> told(Throwable error) {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("message", error.toString());
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof McpError refused && refused.getJsonRpcError() != null) {
                told.put("code", refused.getJsonRpcError().code());
                told.put("message", refused.getJsonRpcError().message());
                if (refused.getJsonRpcError().data() != null) {
                    told.put("data", refused.getJsonRpcError().data());
                }
                return told;
            }
        }
        return told;
    }

    /** Puts a question to the driver and waits for its answer. */
    <T> T ask(String method, Object params, Class<T> kind) {
        int number = questions.incrementAndGet();
        CompletableFuture<Object> answer = new CompletableFuture<>();
        waiting.put(number, answer);
        say(Map.of("ask", number, "method", method, "params", params));
        return JSON.convertValue(answer.join(), kind);
    }

    void say(Map<String, Object> message) {
        try {
            byte[] line = (JSON.writeValueAsString(message) + "\n").getBytes(StandardCharsets.UTF_8);
            synchronized (System.out) {
                System.out.write(line);
                System.out.flush();
            }
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** One line that came in. */
    record Order(Map<String, Object> members) {

        boolean has(String name) {
            return members.get(name) != null;
        }

        Object get(String name) {
            return members.get(name);
        }

        String text(String name) {
            return (String) members.get(name);
        }

        int number(String name) {
            return ((Number) members.get(name)).intValue();
        }

        @SuppressWarnings("unchecked")
        Map<String, Object> object(String name) {
            return has(name) ? (Map<String, Object>) members.get(name) : Map.of();
        }

        <T> T as(String name, Class<T> kind) {
            return JSON.convertValue(members.get(name), kind);
        }
    }
}
