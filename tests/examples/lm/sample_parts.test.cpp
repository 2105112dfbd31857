// SPDX-License-Identifier: MIT
//
// The parts of sample that are apart from models: prompts, writing in batches, numbers and what people see.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <program/kept.hpp>
#include <program/signals.hpp>
#include <program/voice.hpp>
#include <sample/completions.hpp>
#include <sample/judgement.hpp>
#include <sample/prompts.hpp>
#include <sample/view.hpp>
#include <sample/writing.hpp>

#include <prefer/expects.hpp>
#include <prefer/text/utf8.hpp>

namespace {

namespace data = prefer::data;
using Catch::Matchers::Contains;

/// A file with this content, gone with the test.
struct temporary {
  explicit temporary(std::string const& content = "")
      : path((std::filesystem::temp_directory_path() /
              ("prefer-sample-" + std::to_string(::getpid())))
                 .string()) {
    std::ofstream(path, std::ios::binary) << content;
  }
  temporary(temporary const&) = delete;
  temporary& operator=(temporary const&) = delete;
  ~temporary() { std::filesystem::remove(path); }
  std::string path;
};

std::vector<data::turns> prompts_in(std::string const& content, sample::prompt_options given = {}) {
  temporary const file(content);
  given.file = file.path;
  return sample::read_prompts(given);
}

data::turns user(std::string const& text) {
  return data::conversation{data::message{"user", text}};
}

/// Writes the number of each request, and stops the program after so many completions.
class counting_writer final : public sample::writer {
 public:
  explicit counting_writer(std::size_t completions = 1000) : left_(completions) {}

  void write(std::span<sample::request const> requests, prefer::sampling_options const&,
             std::uint64_t seed, sample::side by, taker const& take) override {
    sizes.push_back(requests.size());
    ratios_.clear();
    for (std::size_t i = 0; i != requests.size(); ++i) {
      auto const& each = requests[i];
      if (left_-- == 0) {
        program::interrupted = true;
        throw program::stop();
      }
      std::string const who = by == sample::side::start ? "s" : "t";
      take(i, {who + std::to_string(each.number) + "/" + std::to_string(seed) + " " +
                   sample::shown(*each.prompt),
               each.number + 1, true, std::nullopt});
      ratios_.push_back(0.5 * static_cast<double>(each.number));
    }
  }
  sample::completion stream(sample::request const&, prefer::sampling_options const&, std::uint64_t,
                            listener const&) override {
    return {};
  }
  std::optional<std::vector<double>> log_ratios() override { return ratios_; }
  [[nodiscard]] std::string description() const override { return "counts"; }
  [[nodiscard]] std::uint64_t identity() const override { return 7; }

  std::vector<std::size_t> sizes;

 private:
  std::size_t left_;
  std::vector<double> ratios_;
};

std::vector<std::string> written_by(counting_writer& by, sample::task const& what) {
  std::vector<std::string> out;
  sample::write_all(by, what, [&](sample::written const& one) {
    out.push_back(one.what.text + (one.log_ratio ? " " + std::to_string(*one.log_ratio) : ""));
  });
  return out;
}

}  // namespace

TEST_CASE("sample: prompts are lines, or rows of JSON, with or without messages",
          "[examples][sample]") {
  program::quiet = true;
  CHECK(prompts_in("One.\r\n\nTwo.") == std::vector<data::turns>{user("One."), user("Two.")});
  CHECK(prompts_in("One.\n", {.raw = true}) == std::vector<data::turns>{data::turns("One.")});
  data::turns const with_system =
      data::conversation{data::message{"system", "Be brief."}, data::message{"user", "One."}};
  CHECK(prompts_in("One.\n", {.system = "Be brief."}) == std::vector<data::turns>{with_system});
  CHECK(prompts_in(R"({"prompt": "One."})"
                   "\n"
                   R"({"messages": [{"role": "user", "content": "Two."}], "id": 3})") ==
        std::vector<data::turns>{user("One."), user("Two.")});
  // Rows of preferences have prompts, too; a list of rows is as good as lines.
  CHECK(prompts_in(R"([{"prompt": "One.", "chosen": "a", "rejected": "b"}])") ==
        std::vector<data::turns>{user("One.")});
  CHECK(sample::read_prompts({.texts = {"{\"prompt\": 1}"}}) ==
        std::vector<data::turns>{user("{\"prompt\": 1}")});
}

TEST_CASE("sample: what is no prompt is refused in a sentence", "[examples][sample]") {
  auto const refused = [](std::string const& content, std::string const& sentence,
                          sample::prompt_options const& given = {}) {
    INFO(content);
    CHECK_THROWS_WITH(prompts_in(content, given), Contains(sentence));
  };
  refused("", "expected a prompt a line");
  refused(R"({"promt": "One."})", "field \"prompt\" is missing");
  refused(R"({"prompt": ""})", "field \"prompt\": is empty");
  refused(R"({"prompt": 3})", "field \"prompt\": found the number 3");
  refused(R"({"messages": [{"role": "assistant", "content": "Hi."}]})", "ends in an answer");
  refused(R"({"prompt": "a", "tools": []})", "field \"tools\": is not given to chat templates");
  refused(R"({"messages": [{"role": "user", "content": "Hi."}]})", "--raw takes texts alone",
          {.raw = true});
  refused(R"({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]})",
          "has a system message of its own", {.system = "c"});
  refused("\xff\xfe\n", "UTF-16");
  CHECK_THROWS_WITH(sample::read_prompts({}), Contains("there is no prompt"));
  CHECK_THROWS_WITH(sample::read_prompts({.texts = {"a"}, .file = "b"}), Contains("in one place"));
  CHECK_THROWS_WITH(sample::read_prompts({.texts = {""}}), Contains("a prompt is empty"));
  CHECK_THROWS_WITH(sample::read_prompts({.texts = {"a"}, .system = "b", .raw = true}),
                    Contains("--system does not go with --raw"));
  CHECK_THROWS_WITH(sample::read_prompts({.file = "missing"}), Contains("missing"));
}

TEST_CASE("sample: a batch changes no completion, and who is stopped goes on",
          "[examples][sample]") {
  program::quiet = true;
  std::vector<data::turns> const prompts = {user("a"), user("b"), user("c")};
  sample::task what{.prompts = &prompts, .both_sides = true, .log_ratios = true};
  what.options.n = 2;
  what.options.seed = 9;
  counting_writer one_by_one;
  what.options.batch = 1;
  auto const expected = written_by(one_by_one, what);
  REQUIRE(expected.size() == 12);
  CHECK(expected.front() == "s0/9 a");
  CHECK(expected[6] == "t0/9 a 0.000000");
  CHECK(expected.back() == "t5/9 c 2.500000");
  CHECK(one_by_one.sizes == std::vector<std::size_t>{4, 2, 4, 2});  // never of two sides

  counting_writer by_four;
  what.options.batch = 4;
  CHECK(written_by(by_four, what) == expected);
  CHECK(by_four.sizes == std::vector<std::size_t>{6, 6});

  // Of the second call's completions those with log-ratios are finished together, the start's one by one.
  temporary const place;
  what.kept = place.path + ".unfinished";
  what.settings = {{"program", "sample"}, {"seed", 9}};
  for (std::size_t const completions : {3u, 6u}) {
    counting_writer stopped(completions);
    CHECK_THROWS_AS(written_by(stopped, what), program::stop);
    program::interrupted = false;
  }
  counting_writer goes_on;
  CHECK(written_by(goes_on, what) == expected);
  CHECK(goes_on.sizes == std::vector<std::size_t>{6});

  what.settings["seed"] = 10;
  counting_writer other;
  CHECK_THROWS_WITH(written_by(other, what), Contains("unfinished work of other settings"));
  std::filesystem::remove(what.kept);
}

TEST_CASE("sample: a mean is over prompts, with its standard error", "[examples][sample]") {
  sample::by_prompt values;
  for (auto const& [prompt, value] :
       std::vector<std::pair<std::size_t, double>>{{0, 1.0}, {0, 3.0}, {1, 4.0}, {2, 6.0}}) {
    values.add(prompt, value);
  }
  // Means of prompts are 2, 4, 6: mean 4, variance of the mean (4 + 0 + 4) / (3 * 2).
  CHECK(values.mean().mean == Approx(4.0));
  CHECK(values.mean().standard_error == Approx(std::sqrt(8.0 / 6.0)));
  sample::by_prompt one;
  one.add(0, 2.0);
  CHECK(std::isnan(one.mean().standard_error));
}

TEST_CASE("sample: texts are wrapped between words, by cells, and obey no terminal",
          "[examples][sample]") {
  CHECK(sample::wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(sample::wrapped("abcdefgh ij", 4) == std::vector<std::string>{"abcd", "efgh", "ij"});
  CHECK(sample::wrapped("", 4).empty());
  CHECK(sample::wrapped("a\n\tb\x1b[2J\xc2\x9b", 10) == std::vector<std::string>{"a b [2J"});
  // Two cells each.
  CHECK(sample::wrapped("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4) ==
        std::vector<std::string>{"\xe6\x97\xa5\xe6\x9c\xac", "\xe8\xaa\x9e"});
  for (std::size_t width = 9; width != 60; ++width) {
    std::string const both = sample::side_by_side("start", "The fox ran over the hill.", "tuned",
                                                  "The fox was happy \xe2\x80\x94 at last.", width);
    std::size_t begin = 0;
    while (begin < both.size()) {
      std::size_t const end = both.find('\n', begin);
      CHECK(prefer::text::display_width(both.substr(begin, end - begin)) <= width);
      begin = end + 1;
    }
  }
}

TEST_CASE("sample: a line of JSON is read as the completion that it was", "[examples][sample]") {
  sample::completion const cut{"half \xEF\xBF\xBD", 5, false, -0.25};
  for (data::turns const& prompt : {user("Say \"hi\"."), data::turns("Once")}) {
    temporary const file(sample::to_json(prompt, cut) + "\n" +
                         sample::to_json(prompt, {"whole", 2, true, {}}) + "\n");
    auto const read = sample::read_answers(file.path);
    REQUIRE(read.size() == 1);
    CHECK(read[0].prompt == prompt);
    REQUIRE(read[0].completions.size() == 2);
    CHECK(read[0].completions[0].text == cut.text);
    CHECK(read[0].completions[0].tokens == 5);
    CHECK_FALSE(read[0].completions[0].ended);
    CHECK(read[0].completions[0].score == -0.25);
    CHECK(read[0].completions[1].ended);
    CHECK_FALSE(read[0].completions[1].score.has_value());
  }
}
