// The SDK's client: what each verb of the driver does with it. It has no sign-in of its own, so it is given a token. How it is spoken to
// is in Wire.java.
package peers;

import io.modelcontextprotocol.client.McpAsyncClient;
import io.modelcontextprotocol.client.McpClient;
import io.modelcontextprotocol.client.transport.HttpClientStreamableHttpTransport;
import io.modelcontextprotocol.client.transport.ServerParameters;
import io.modelcontextprotocol.client.transport.StdioClientTransport;
import io.modelcontextprotocol.spec.McpClientTransport;
import io.modelcontextprotocol.spec.McpSchema;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

final class Client extends Wire {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final Map<Integer, Runnable> calls = new ConcurrentHashMap<>();
    private McpAsyncClient client;

    @Override
    Object perform(Order order) throws Exception {
        switch (order.text("verb")) {
            case "connect":
                return connect(order);
            case "close":
                return client.closeGracefully().block();
            case "call":
                return call(order);
            case "callOff":
                calls.getOrDefault(order.number("call"), () -> {}).run();
                return null;
            case "tools":
                return client.listTools().block().tools();
            case "prompts":
                return client.listPrompts().block().prompts();
            case "prompt":
                return client.getPrompt(new McpSchema.GetPromptRequest(order.text("name"), order.object("args"))).block();
            case "resources":
                return client.listResources().block().resources();
            case "templates":
                return client.listResourceTemplates().block().resourceTemplates();
            case "read":
                return client.readResource(McpSchema.ReadResourceRequest.builder(order.text("uri")).build()).block();
            case "complete":
                return complete(order);
            case "wantLogs":
                return client.setLoggingLevel(JSON.convertValue(order.text("level"), McpSchema.LoggingLevel.class)).block();
            case "subscribe":
                return client.subscribeResource(new McpSchema.SubscribeRequest(order.text("uri"))).block();
            case "unsubscribe":
                return client.unsubscribeResource(new McpSchema.UnsubscribeRequest(order.text("uri"))).block();
            default:
                throw new IllegalArgumentException("no verb " + order.text("verb"));
        }
    }

    private Object connect(Order order) {
        // The newest revision that it can be asked for.
        if (order.text("era").equals("modern")) {
            throw new IllegalArgumentException("this SDK speaks nothing newer than 2025-11-25");
        }
        List<McpSchema.Root> roots = new ArrayList<>();
        for (Object root : (List<?>) order.get("roots")) {
            roots.add(JSON.convertValue(root, McpSchema.Root.class));
        }
        client = McpClient.async(transport(order.object("where"))).requestTimeout(PATIENCE).initializationTimeout(PATIENCE)
            .clientInfo(new McpSchema.Implementation("java-peer", "1.0.0"))
            .capabilities(new McpSchema.ClientCapabilities.Builder().roots(false).sampling().elicitation(true, true).build())
            .roots(roots)
            .sampling(asked -> later(() -> ask("sampling/createMessage", asked, McpSchema.CreateMessageResult.class)))
            .elicitation(asked -> later(() -> ask("elicitation/create", asked, McpSchema.ElicitResult.class)))
            .urlElicitation(asked -> later(() -> ask("elicitation/create", asked, McpSchema.ElicitResult.class)))
            .loggingConsumer(told -> heard(Map.of("told", "log", "params", told)))
            .progressConsumer(told -> heard(Map.of("told", "progress", "id", told.progressToken(), "progress", told)))
            // It reads the resource again by itself, and tells what it read.
            .resourcesUpdateConsumer(contents -> heard(Map.of("told", "updated", "uri", contents.get(0).uri())))
            .build();
        McpSchema.InitializeResult told = client.initialize().block();
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("protocol", told.protocolVersion());
        result.put("server", told.serverInfo());
        result.put("instructions", told.instructions() == null ? "" : told.instructions());
        return result;
    }

    private McpClientTransport transport(Map<String, Object> where) {
        if (where.get("command") instanceof String command) {
            List<String> args = ((List<?>) where.get("args")).stream().map(String::valueOf).toList();
            StdioClientTransport transport = new StdioClientTransport(ServerParameters.builder(command).args(args).build(), JSON);
            transport.setStdErrorHandler(line -> {});
            return transport;
        }
        URI url = URI.create((String) where.get("url"));
        HttpRequest.Builder request = HttpRequest.newBuilder();
        if (where.get("token") instanceof String token) {
            request.header("Authorization", "Bearer " + token);
        }
        return HttpClientStreamableHttpTransport.builder(url.getScheme() + "://" + url.getAuthority())
            .endpoint(url.getPath()).requestBuilder(request).openConnectionOnStartup(true).build();
    }

    private Object call(Order order) throws Exception {
        var request = new McpSchema.CallToolRequest.Builder().name(order.text("name")).arguments(order.object("args"));
        if (Boolean.TRUE.equals(order.get("progress"))) {
            request.progressToken(order.number("id"));
        }
        CompletableFuture<Object> result = new CompletableFuture<>();
        Disposable running = client.callTool(request.build()).subscribe(result::complete, result::completeExceptionally);
        calls.put(order.number("id"), () -> {
            running.dispose();
            result.completeExceptionally(new IllegalStateException("called off"));
        });
        try {
            return result.get();
        } finally {
            calls.remove(order.number("id"));
        }
    }

    private Object complete(Order order) {
        Map<String, Object> ref = order.object("ref");
        McpSchema.CompleteReference to = ref.get("type").equals("ref/prompt")
            ? new McpSchema.PromptReference((String) ref.get("name"))
            : new McpSchema.ResourceReference((String) ref.get("uri"));
        var argument = order.as("argument", McpSchema.CompleteRequest.CompleteArgument.class);
        return client.completeCompletion(new McpSchema.CompleteRequest(to, argument)).block().completion();
    }

    private static <T> Mono<T> later(Supplier<T> work) {
        return Mono.fromSupplier(work).subscribeOn(Schedulers.boundedElastic());
    }

    private Mono<Void> heard(Map<String, Object> news) {
        return Mono.fromRunnable(() -> say(news));
    }
}
