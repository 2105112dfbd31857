// SPDX-License-Identifier: MIT
#include <cstdio>
#include <string>

#include <catch2/catch.hpp>
#include <prefer/report/progress.hpp>

namespace report = prefer::report;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

namespace {

double test_time = 0;
int clock_reads = 0;
double test_seconds() {
  ++clock_reads;
  return test_time;
}

/// A file to draw on, and what was drawn on it since.
class canvas {
 public:
  canvas() : file_(std::tmpfile()) {
    REQUIRE(file_ != nullptr);
    test_time = 1000;  // a clock may start anywhere
    clock_reads = 0;
  }
  canvas(canvas const&) = delete;
  canvas& operator=(canvas const&) = delete;
  ~canvas() { std::fclose(file_); }

  [[nodiscard]] report::progress_options options(std::size_t total) const {
    return {
        .total = total, .stream = file_, .terminal = true, .width = 120, .seconds = &test_seconds};
  }
  [[nodiscard]] std::FILE* file() const { return file_; }

  [[nodiscard]] std::string drawn() {
    std::fseek(file_, read_, SEEK_SET);
    std::string text;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) text += static_cast<char>(c);
    std::fseek(file_, 0, SEEK_END);
    read_ = std::ftell(file_);
    return text;
  }

 private:
  std::FILE* file_;
  long read_ = 0;
};

}  // namespace

TEST_CASE("progress_bar: writes nothing to what is not a terminal", "[report][progress]") {
  canvas paper;
  {
    report::progress_bar bar(
        {.total = 3, .title = "train", .stream = paper.file(), .redraw_seconds = 0});
    CHECK(bar.quiet());
    bar.advance(2, "loss 0.5");
    bar.advance();
    bar.finish();
    CHECK(bar.done() == 3);
  }
  CHECK(paper.drawn().empty());
}

TEST_CASE("progress_bar: elsewhere a plain line comes after each interval, if asked for",
          "[report][progress]") {
  canvas paper;
  auto options = paper.options(10);
  options.terminal = false;
  options.title = "train";
  options.plain_seconds = 15;
  options.text = "start model";
  report::progress_bar bar(options);
  CHECK_FALSE(bar.quiet());
  test_time += 14;
  bar.advance(0);
  CHECK(paper.drawn().empty());  // a short loop says nothing
  test_time += 1;
  bar.advance(0);
  CHECK(paper.drawn() == "train   0%  0/10  for 15s  start model\n");
  test_time += 14;
  bar.advance(5, "seed 1");
  CHECK(paper.drawn().empty());
  test_time += 1;
  bar.advance(1);
  CHECK(paper.drawn() == "train  60%  6/10  0.20/s  ETA 20s  seed 1\n");
  bar.finish();
  CHECK(paper.drawn().empty());
}

TEST_CASE("progress_bar: with a delay, a short loop leaves no line", "[report][progress]") {
  canvas paper;
  auto options = paper.options(4);
  options.delay_seconds = 1;
  {
    report::progress_bar short_one(options);
    test_time += 0.9;
    short_one.advance();
  }
  CHECK(paper.drawn().empty());
  report::progress_bar bar(options);
  test_time += 1;
  bar.advance();
  CHECK_THAT(paper.drawn(), Contains("1/4"));
  bar.finish();
  CHECK_THAT(paper.drawn(), EndsWith("\n"));
}

TEST_CASE("progress_bar: asks no clock when quiet", "[report][progress]") {
  canvas paper;
  auto options = paper.options(10);
  options.terminal = false;
  report::progress_bar bar(options);
  bar.advance();
  bar.finish();
  CHECK(clock_reads == 0);
}

TEST_CASE("progress_bar: shows share, count, rate, time left and text", "[report][progress]") {
  canvas paper;
  auto options = paper.options(1000);
  options.title = "train";
  report::progress_bar bar(options);
  CHECK_THAT(paper.drawn(), Contains("train [--------------------]   0%  0/1000"));
  test_time += 4;
  bar.advance(360, "loss 0.512");
  // 360 in 4 s are 90 a second; the other 640 take 7.1 s. 36% of 20 cells are 7.
  CHECK_THAT(paper.drawn(),
             Contains("\rtrain [#######-------------]  36%  360/1000  90.0/s  ETA 7s  loss 0.512"));
}

TEST_CASE("progress_bar: redraws no more often than asked, and always at the end",
          "[report][progress]") {
  canvas paper;
  report::progress_bar bar(paper.options(1000));
  (void)paper.drawn();
  for (int i = 0; i < 50; ++i) {
    test_time += 0.001;
    bar.advance();
  }
  CHECK(paper.drawn().empty());  // 0.05 s have passed, a drawing is due after 0.1
  test_time += 0.06;
  bar.advance();
  CHECK_THAT(paper.drawn(), Contains(" 51/1000"));
  test_time += 0.05;  // counted from the last drawing, not from the start
  bar.advance();
  CHECK(paper.drawn().empty());
  bar.finish();
  std::string const last = paper.drawn();
  CHECK_THAT(last, Contains(" 52/1000"));
  CHECK_THAT(last, EndsWith("\n"));
}

TEST_CASE("progress_bar: the end of the object ends the line, once", "[report][progress]") {
  canvas paper;
  {
    report::progress_bar bar(paper.options(2));
    bar.finish();
    (void)paper.drawn();
    bar.advance();
  }
  CHECK(paper.drawn().empty());
  { report::progress_bar const bar(paper.options(2)); }
  CHECK_THAT(paper.drawn(), EndsWith("\n"));
}

TEST_CASE("progress_bar: says 100% when all is done and not before", "[report][progress]") {
  canvas paper;
  auto options = paper.options(1000);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  test_time += 75;
  bar.advance(999);
  CHECK_THAT(paper.drawn(), Contains(" 99%"));
  bar.advance();
  CHECK_THAT(paper.drawn(), Contains("100%  1000/1000") && Contains("in 1m15s"));
  bar.advance(5);  // more than promised
  CHECK_THAT(paper.drawn(), Contains("[####################] 100%  1005/1000"));
}

TEST_CASE("progress_bar: a total of 0 counts without a percentage", "[report][progress]") {
  canvas paper;
  auto options = paper.options(0);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  test_time += 2;
  bar.advance(10);
  std::string const line = paper.drawn();
  CHECK_THAT(line, Contains("10 done") && Contains("5.00/s"));
  CHECK_THAT(line, !Contains("%") && !Contains("ETA") && !Contains("nan") && !Contains("inf"));
}

TEST_CASE("progress_bar: no time passed gives no rate", "[report][progress]") {
  canvas paper;
  auto options = paper.options(10);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  bar.advance(5);
  CHECK_THAT(paper.drawn(), Contains("5/10") && !Contains("/s") && !Contains("inf"));
}

TEST_CASE("progress_bar: a slow loop shows the seconds each unit takes and long times in hours",
          "[report][progress]") {
  canvas paper;
  auto options = paper.options(1001);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  test_time += 20;
  bar.advance();
  // The other 1000 take 20000 s = 5 h 33 min 20 s.
  CHECK_THAT(paper.drawn(), Contains("20.0 s each") && Contains("ETA 5h33m"));
}

TEST_CASE("progress_bar: a shorter line wipes what the longer one left", "[report][progress]") {
  canvas paper;
  auto options = paper.options(0);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  bar.advance(1, "a long text");
  bar.advance(1, "text");
  CHECK_THAT(paper.drawn(), EndsWith("\r2 done  text" + std::string(7, ' ')));
}

TEST_CASE("progress_bar: a line never reaches the last cell of the terminal",
          "[report][progress]") {
  canvas paper;
  auto options = paper.options(0);
  options.redraw_seconds = 0;
  options.width = 12;
  report::progress_bar bar(options);
  (void)paper.drawn();
  bar.advance(1, "βββββββ");
  CHECK(paper.drawn() == "\r1 done  βββ");  // 8 + 3 = 11 cells
}

TEST_CASE("progress_bar: a line break in the text does not break the line", "[report][progress]") {
  canvas paper;
  auto options = paper.options(0);
  options.redraw_seconds = 0;
  report::progress_bar bar(options);
  (void)paper.drawn();
  bar.advance(1, "a\nb");
  CHECK(paper.drawn() == "\r1 done  a b");
}
