// What the server offers: the same, word for word, as what the servers next door offer. The exercises that use it are in exercises.mjs of
// tests/peers; how it is served is in Server.java.
package peers;

import io.modelcontextprotocol.server.McpSyncServer;
import io.modelcontextprotocol.server.McpSyncServerExchange;
import io.modelcontextprotocol.spec.McpError;
import io.modelcontextprotocol.spec.McpSchema;
import io.modelcontextprotocol.spec.McpSchema.CallToolRequest;
import io.modelcontextprotocol.spec.McpSchema.CallToolResult;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;

final class Story {

    /** What a tool does. There is no exchange where there is no session. */
    interface Act {
        CallToolResult apply(McpSyncServerExchange exchange, CallToolRequest call);

        /** For those that ask or tell their client something while they work. */
        default Act inSession() {
            return (exchange, call) -> exchange == null ? failed("nobody to ask or to tell without a session") : apply(exchange, call);
        }
    }

    private static final Map<String, Object> TEXT = Map.of("type", "string");
    private static final Map<String, Object> WHOLE = Map.of("type", "integer");

    private final String thing;
    private final AtomicInteger touched = new AtomicInteger();
    private final AtomicInteger cancelled = new AtomicInteger();
    McpSyncServer server;

    Story(String thing) {
        this.thing = thing;
    }

    Map<McpSchema.Tool, Act> tools() {
        Map<McpSchema.Tool, Act> tools = new LinkedHashMap<>();
        tools.put(tool("echo", "Says it again.", Map.of("message", TEXT)), (exchange, call) -> text(argument(call, "message")));
        tools.put(sum(), (exchange, call) -> {
            int sum = whole(call, "a") + whole(call, "b");
            var result = new CallToolResult.Builder().structuredContent(Map.of("sum", sum)).addTextContent("{\"sum\":" + sum + "}");
            return result.isError(false).build();
        });
        tools.put(tool("parts", "Answers with a part of every kind.", Map.of()), (exchange, call) -> parts());
        tools.put(tool("fail", "Fails, and says so in its result.", Map.of()),
            (exchange, call) -> failed("the kettle is empty"));
        tools.put(tool("refuse", "Is refused with an error of the protocol.", Map.of()), (exchange, call) -> {
            throw McpError.builder(-31042).message("no tea today").data(Map.of("kettle", "empty")).build();
        });
        Map<McpSchema.Tool, Act> asking = new LinkedHashMap<>();
        addAsking(asking);
        asking.forEach((tool, act) -> tools.put(tool, act.inSession()));
        tools.put(tool("slow", "Takes its time.", Map.of("steps", WHOLE, "milliseconds", WHOLE)), this::slow);
        tools.put(tool("cancelled", "How many slow calls were called off.", Map.of()),
            (exchange, call) -> text(String.valueOf(cancelled.get())));
        tools.put(tool("touch", "Changes the thing.", Map.of()), (exchange, call) -> {
            touched.incrementAndGet();
            if (server != null) {
                server.notifyResourcesUpdated(new McpSchema.ResourcesUpdatedNotification(thing));
            }
            return text("touched");
        });
        tools.put(tool("log", "Logs a message.", Map.of("level", TEXT, "message", TEXT)), (exchange, call) -> {
            var level = Wire.JSON.convertValue(argument(call, "level"), McpSchema.LoggingLevel.class);
            exchange.loggingNotification(
                new McpSchema.LoggingMessageNotification.Builder().level(level).logger("peer").data(argument(call, "message")).build());
            return text("logged");
        });
        return tools;
    }

    private static void addAsking(Map<McpSchema.Tool, Act> tools) {
        tools.put(tool("elicit", "Asks for a name in a form, and greets.", Map.of()), (exchange, call) -> {
            Map<String, Object> schema = Map.of("type", "object", "properties", Map.of("name", Map.of("type", "string", "title", "Name")),
                "required", List.of("name"));
            var said = exchange.createElicitation(McpSchema.ElicitFormRequest.builder("What is your name?", schema).build());
            boolean accepted = said.action() == McpSchema.ElicitResult.Action.ACCEPT;
            return text(accepted ? "hello " + said.content().get("name") : "no name: " + action(said));
        });
        tools.put(tool("elicit_url", "Sends the person to a page.", Map.of()), (exchange, call) -> {
            var page = McpSchema.ElicitUrlRequest.builder("Please sign there.", "https://example.com/sign-here", "visit-1").build();
            return text("page: " + action(exchange.createElicitation(page)));
        });
        tools.put(tool("sample", "Asks the client's model.", Map.of("prompt", TEXT)), (exchange, call) -> {
            var asked = new McpSchema.SamplingMessage(McpSchema.Role.USER, new McpSchema.TextContent(argument(call, "prompt")));
            var said = exchange.createMessage(McpSchema.CreateMessageRequest.builder(List.of(asked), 50).temperature(0.5).build());
            return text(((McpSchema.TextContent) said.content()).text());
        });
        tools.put(tool("roots", "Lists the client's roots.", Map.of()), (exchange, call) -> text(
            exchange.listRoots().roots().stream().map(root -> root.name() + " " + root.uri()).collect(Collectors.joining("\n"))));
    }

    private CallToolResult slow(McpSyncServerExchange exchange, CallToolRequest call) {
        int steps = whole(call, "steps");
        for (int step = 1; step <= steps; step++) {
            Object token = call.meta() == null ? null : call.meta().get("progressToken");
            if (token != null && exchange != null) {
                exchange.progressNotification(new McpSchema.ProgressNotification(token, step, (double) steps, "step " + step));
            }
            try {
                Thread.sleep(whole(call, "milliseconds"));
            } catch (InterruptedException interrupted) {
                cancelled.incrementAndGet();
                return text("called off");
            }
        }
        return text(steps + " steps done");
    }

    private static CallToolResult parts() {
        String picture = Base64.getEncoder().encodeToString("not really a picture".getBytes(StandardCharsets.UTF_8));
        String sound = Base64.getEncoder().encodeToString("not really a sound".getBytes(StandardCharsets.UTF_8));
        List<Map<String, Object>> content = List.of(
            Map.of("type", "text", "text", "words", "annotations", Map.of("audience", List.of("user"), "priority", 0.5)),
            Map.of("type", "image", "mimeType", "image/png", "data", picture),
            Map.of("type", "audio", "mimeType", "audio/wav", "data", sound),
            Map.of("type", "resource_link", "uri", "peer://linked", "name", "linked", "mimeType", "text/plain"),
            Map.of("type", "resource", "resource", Map.of("uri", "peer://embedded", "mimeType", "text/plain", "text", "inside")));
        Map<String, Object> meta = Map.of("example.com/kept", "as it is");
        return Wire.JSON.convertValue(Map.of("content", content, "isError", false, "_meta", meta), CallToolResult.class);
    }

    McpSchema.Resource resource() {
        return new McpSchema.Resource.Builder().uri(thing).name("thing").description("Changes when it is touched.").mimeType("text/plain")
            .build();
    }

    McpSchema.ResourceTemplate template() {
        return Wire.JSON.convertValue(Map.of("uriTemplate", thing + "/numbers/{number}", "name", "number", "mimeType", "text/plain"),
            McpSchema.ResourceTemplate.class);
    }

    McpSchema.ReadResourceResult read(McpSchema.ReadResourceRequest asked) {
        String uri = asked.uri();
        String text = uri.equals(thing) ? "touched " + touched.get() + " times" : "number " + uri.substring(uri.lastIndexOf('/') + 1);
        return new McpSchema.ReadResourceResult(List.of(new McpSchema.TextResourceContents(uri, "text/plain", text)));
    }

    static McpSchema.Prompt prompt() {
        return new McpSchema.Prompt("greet", "Greets somebody.", List.of(new McpSchema.PromptArgument("name", "Whom to greet.", true)));
    }

    static McpSchema.GetPromptResult greet(McpSchema.GetPromptRequest asked) {
        var said = new McpSchema.TextContent("hello " + asked.arguments().get("name"));
        return new McpSchema.GetPromptResult("A greeting", List.of(new McpSchema.PromptMessage(McpSchema.Role.USER, said)));
    }

    static McpSchema.CompleteReference reference() {
        return new McpSchema.PromptReference("greet");
    }

    static McpSchema.CompleteResult complete(McpSchema.CompleteRequest asked) {
        List<String> values = Stream.of("Ada", "Alan", "Grace").filter(name -> name.startsWith(asked.argument().value())).toList();
        return new McpSchema.CompleteResult(new McpSchema.CompleteResult.CompleteCompletion(values, values.size(), false));
    }

    // In an order of its own: that of `Map.of` is another one in each process, and a tool that changes from one process to the next is not
    // the one that was approved.
    private static McpSchema.Tool tool(String name, String description, Map<String, Object> arguments) {
        List<String> names = arguments.keySet().stream().sorted().toList();
        return new McpSchema.Tool.Builder().name(name).description(description)
            .inputSchema(Map.of("type", "object", "properties", arguments, "required", names)).build();
    }

    private static McpSchema.Tool sum() {
        return new McpSchema.Tool.Builder().name("sum").description("Adds.")
            .inputSchema(Map.of("type", "object", "properties", Map.of("a", WHOLE, "b", WHOLE), "required", List.of("a", "b")))
            .outputSchema(Map.of("type", "object", "properties", Map.of("sum", WHOLE), "required", List.of("sum")))
            .annotations(McpSchema.ToolAnnotations.builder().title("Sum").readOnlyHint(true).build()).build();
    }

    private static String action(McpSchema.ElicitResult said) {
        return said.action().name().toLowerCase();
    }

    private static String argument(CallToolRequest call, String name) {
        return (String) call.arguments().get(name);
    }

    private static int whole(CallToolRequest call, String name) {
        return ((Number) call.arguments().get(name)).intValue();
    }

    private static CallToolResult failed(String said) {
        return new CallToolResult.Builder().addTextContent(said).isError(true).build();
    }

    private static CallToolResult text(String said) {
        return new CallToolResult.Builder().addTextContent(said).isError(false).build();
    }
}
